-- How much is not known of the planes, by kind of engine?
SELECT engine, count(*) AS planes, count(year) AS with_year, count(speed) AS with_speed,
       round(avg(speed), 1) AS mean_speed, coalesce(min(year), 0) AS oldest
FROM planes
GROUP BY engine
ORDER BY engine;
