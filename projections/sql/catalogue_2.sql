-- Layout 2: the layout says which one it is, so that later steps know where to begin.
CREATE TABLE projections.layout (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number    integer NOT NULL
);
INSERT INTO projections.layout (number) VALUES (2);
