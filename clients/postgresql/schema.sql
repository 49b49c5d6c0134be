-- What pg_dump writes out and psql describes: one of each kind of object.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS integer CHECK (value > 0);
CREATE SEQUENCE numbers START 5 INCREMENT 2;
CREATE TABLE departments (id serial PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE people (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    department integer REFERENCES departments ON DELETE CASCADE,
    name varchar(40) NOT NULL DEFAULT 'nobody',
    feels mood,
    floor positive,
    salary numeric(10, 2) CHECK (salary > 0),
    born date,
    nicknames text[],
    document jsonb,
    at timestamptz DEFAULT now()
);
CREATE INDEX people_name_idx ON people (lower(name) DESC) WHERE salary > 10;
CREATE VIEW staff AS SELECT p.name, d.name AS department FROM people p JOIN departments d ON d.id = p.department;
CREATE FUNCTION plus(a integer, b integer DEFAULT 2) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
COMMENT ON TABLE people IS 'everyone';
COMMENT ON COLUMN people.born IS 'the day';
INSERT INTO departments (name) VALUES ('one'), (E'two\twith a tab'), ('three \ four');
INSERT INTO people (department, name, feels, floor, salary, born, nicknames, document, at) VALUES
    (1, 'Joe', 'ok', 3, 12.50, '1990-02-28', '{a,"b c",NULL}', '{"a": [1, null]}', '2026-01-02 03:04:05.678+00'),
    (2, 'Ænne', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT nextval('numbers');
