"""The mutations of the journal: what auditors have done in the background."""

from __future__ import annotations

import strawberry

from subgraphs.journal.audit import IntegrityReport, check_service, report
from subgraphs.journal.export_schema import ExportMutation
from subgraphs.journal.schema import Info
from subgraphs.journal.waiting import own_log_copied
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import attempt
from subgraphs.shared.graphql import UserError, mutation


@strawberry.type
class VerifyLogPayload:
    report: IntegrityReport | None
    user_errors: list[UserError]


@strawberry.type
class Mutation(ExportMutation):
    @mutation(
        "For auditors: recompute every hash of a service's log, in the background. `integrity` "
        "shows the result, which is itself recorded."
    )
    async def verify_log(self, info: Info, service: str) -> VerifyLogPayload:
        info.context.caller.require_role("have logs verified", Role.AUDITOR)
        result = await attempt(_verify(info, service))
        return VerifyLogPayload(report=result.value, user_errors=result.user_errors)


async def _verify(info: Info, service: str) -> IntegrityReport:
    check_service(info, service)
    info.context.resources.verifications.begin(service, info.context.metadata())
    await own_log_copied(info)
    rows = await info.context.resources.reads.last_verified()
    return await report(info, service, rows.get(service))
