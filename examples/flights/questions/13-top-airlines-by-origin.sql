-- Which three airlines fly most from each airport?
SELECT origin, carrier, flights, place
FROM (
  SELECT origin, carrier, count(*) AS flights,
         rank() OVER (PARTITION BY origin ORDER BY count(*) DESC) AS place
  FROM flights
  GROUP BY origin, carrier
) AS ranked
WHERE place <= 3
ORDER BY origin, place, carrier;
