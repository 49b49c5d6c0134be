-- What is each airline's busiest route?
WITH routes AS (
  SELECT carrier, origin, dest, count(*) AS flights FROM flights GROUP BY carrier, origin, dest
), numbered AS (
  SELECT carrier, origin, dest, flights,
         row_number() OVER (PARTITION BY carrier ORDER BY flights DESC, origin, dest) AS n
  FROM routes
)
SELECT a.name, n.origin, n.dest, n.flights
FROM numbered n JOIN airlines a ON a.carrier = n.carrier
WHERE n.n = 1
ORDER BY a.name;
