-- Which planes are larger than the average of their maker? (A correlated subquery.)
SELECT p.manufacturer, count(*) AS large_planes
FROM planes p
WHERE p.seats > (SELECT avg(q.seats) FROM planes q WHERE q.manufacturer = p.manufacturer)
GROUP BY p.manufacturer
ORDER BY large_planes DESC, p.manufacturer;
