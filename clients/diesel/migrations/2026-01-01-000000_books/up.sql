CREATE TYPE shelf AS ENUM ('low', 'high');
CREATE TABLE writers (
    id serial PRIMARY KEY,
    name varchar NOT NULL UNIQUE
);
CREATE TABLE works (
    id bigserial PRIMARY KEY,
    writer_id int4 NOT NULL REFERENCES writers,
    title text NOT NULL,
    price numeric,
    published date,
    seen timestamptz NOT NULL DEFAULT now(),
    mark uuid,
    notes jsonb NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    shelf shelf NOT NULL DEFAULT 'low'
);
