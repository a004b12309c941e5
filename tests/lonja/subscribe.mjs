// Asks a router on the port given with clients that others wrote; prints what each of them got.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [port, modules] = process.argv.slice(2);
const require = createRequire(pathToFileURL(modules + "/x.js"));
const { createClient: overWebSocket } = require("graphql-ws");
const { createClient: overEvents } = require("graphql-sse");
const { HttpLink, execute, gql } = require("@apollo/client/core");

const url = `http://127.0.0.1:${port}/graphql`;
const SUBSCRIPTION = "subscription { count(to: 3) }";
const BAD = "subscription { nothing }";
const codes = errors => errors.map(error => error.extensions.code);
const found = {};

async function iterated(client, query) {
  const got = [];
  try {
    for await (const result of client.iterate({ query })) got.push(result.errors ? codes(result.errors) : result.data);
  } catch (errors) { got.push(codes(errors)); }
  return got;
}

for (const [name, client] of [
  ["graphql-ws", overWebSocket({ url: url.replace("http", "ws"), webSocketImpl: require("ws") })],
  ["graphql-sse", overEvents({ url })],
]) {
  found[name] = [];
  for (const query of [SUBSCRIPTION, "{ ok }", BAD]) found[name].push(await iterated(client, query));
}
found["@apollo/client"] = await new Promise((resolve, reject) => {
  const got = [];
  execute(new HttpLink({ uri: url, fetch }), { query: gql(SUBSCRIPTION) })
    .subscribe({ next: result => got.push(result.data), error: reject, complete: () => resolve(got) });
});
console.log(JSON.stringify(found));
process.exit(0);
