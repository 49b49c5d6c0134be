-- Run from the repository's root: the paths are relative to where the process runs.
COPY airlines FROM 'examples/flights/airlines.csv' WITH (FORMAT csv, HEADER, NULL 'NA');
COPY airports FROM 'examples/flights/airports.csv' WITH (FORMAT csv, HEADER, NULL 'NA');
COPY planes   FROM 'examples/flights/planes.csv'   WITH (FORMAT csv, HEADER, NULL 'NA');
COPY weather  FROM 'examples/flights/weather.csv'  WITH (FORMAT csv, HEADER, NULL 'NA');
COPY flights  FROM 'examples/flights/flights.csv.gz' WITH (FORMAT csv, HEADER, NULL 'NA');
CREATE INDEX flights_tailnum_idx ON flights (tailnum);
CREATE INDEX weather_origin_time_idx ON weather (origin, year, month, day, hour);
