-- The nycflights13 data: every flight that left New York City in 2013.
CREATE TABLE airlines (
  carrier text PRIMARY KEY,
  name    text NOT NULL
);
CREATE TABLE airports (
  faa   text PRIMARY KEY,
  name  text NOT NULL,
  lat   double precision NOT NULL,
  lon   double precision NOT NULL,
  alt   integer NOT NULL,
  tz    integer NOT NULL,
  dst   text,
  tzone text
);
CREATE TABLE planes (
  tailnum      text PRIMARY KEY,
  year         integer,
  type         text,
  manufacturer text,
  model        text,
  engines      integer,
  seats        integer,
  speed        integer,
  engine       text
);
CREATE TABLE weather (
  origin     text NOT NULL,
  year       integer NOT NULL,
  month      integer NOT NULL,
  day        integer NOT NULL,
  hour       integer NOT NULL,
  temp       double precision,
  dewp       double precision,
  humid      double precision,
  wind_dir   integer,
  wind_speed double precision,
  wind_gust  double precision,
  precip     double precision,
  pressure   double precision,
  visib      double precision,
  time_hour  timestamptz NOT NULL
);
CREATE TABLE flights (
  year           integer NOT NULL,
  month          integer NOT NULL,
  day            integer NOT NULL,
  dep_time       integer,
  sched_dep_time integer NOT NULL,
  dep_delay      integer,
  arr_time       integer,
  sched_arr_time integer NOT NULL,
  arr_delay      integer,
  carrier        text NOT NULL REFERENCES airlines,
  flight         integer NOT NULL,
  tailnum        text,
  origin         text NOT NULL REFERENCES airports,
  dest           text NOT NULL,
  air_time       integer,
  distance       integer NOT NULL,
  hour           integer NOT NULL,
  minute         integer NOT NULL,
  time_hour      timestamptz NOT NULL
);
