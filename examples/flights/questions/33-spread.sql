-- How widely do delays spread, and do they go with distance?
SELECT carrier, round(stddev_samp(arr_delay), 3) AS spread, round(CAST(corr(arr_delay, distance) AS numeric(10,6)), 5) AS with_distance,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY arr_delay) AS median
FROM flights
GROUP BY carrier
HAVING min(distance) < max(distance)
ORDER BY carrier;
