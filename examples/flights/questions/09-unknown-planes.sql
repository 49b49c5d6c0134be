-- How many flights were flown by planes that nobody registered, by airline?
SELECT f.carrier,
       sum(CASE WHEN f.tailnum IS NULL THEN 1 ELSE 0 END) AS no_tail_number,
       sum(CASE WHEN f.tailnum IS NOT NULL AND p.tailnum IS NULL THEN 1 ELSE 0 END) AS not_registered
FROM flights f LEFT JOIN planes p ON p.tailnum = f.tailnum
GROUP BY f.carrier
ORDER BY f.carrier;
