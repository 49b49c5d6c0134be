-- Which planes flew most, and what are they?
SELECT f.tailnum, p.manufacturer, p.model, p.seats, count(*) AS flights, sum(f.distance) AS miles
FROM flights f JOIN planes p ON p.tailnum = f.tailnum
WHERE f.air_time IS NOT NULL
GROUP BY f.tailnum, p.manufacturer, p.model, p.seats
ORDER BY flights DESC, f.tailnum
LIMIT 10;
