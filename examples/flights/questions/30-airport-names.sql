-- How many airports call themselves international, by time zone?
SELECT tzone, count(*) AS airports,
       sum(CASE WHEN lower(name) LIKE '%intl%' OR lower(name) LIKE '%international%' THEN 1 ELSE 0 END) AS international,
       max(length(name)) AS longest_name
FROM airports
GROUP BY tzone
ORDER BY airports DESC, tzone;
