-- Which planes flew for more than one airline?
SELECT tailnum, count(DISTINCT carrier) AS airlines, min(carrier) AS one, max(carrier) AS other
FROM flights
WHERE tailnum IS NOT NULL
GROUP BY tailnum
HAVING count(DISTINCT carrier) > 1
ORDER BY tailnum;
