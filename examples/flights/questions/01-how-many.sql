-- How many flights were planned, how many never left, how many left but have no arrival delay?
SELECT count(*) AS planned,
       count(*) - count(dep_time) AS cancelled,
       sum(CASE WHEN dep_time IS NOT NULL AND arr_delay IS NULL THEN 1 ELSE 0 END) AS lost
FROM flights;
