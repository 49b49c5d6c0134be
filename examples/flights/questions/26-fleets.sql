-- How many planes does each airline use, and how large are they?
SELECT f.carrier, count(DISTINCT f.tailnum) AS planes, round(avg(p.seats), 1) AS seats_per_flight, max(p.seats) AS largest
FROM flights f JOIN planes p USING (tailnum)
GROUP BY f.carrier
ORDER BY planes DESC, f.carrier;
