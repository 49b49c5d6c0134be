-- Which planes are the oldest that flew, and for whom?
SELECT DISTINCT p.tailnum, p.year, p.manufacturer, p.model, f.carrier
FROM planes p JOIN flights f ON f.tailnum = p.tailnum
WHERE p.year < 1970
ORDER BY p.year, p.tailnum, f.carrier;
