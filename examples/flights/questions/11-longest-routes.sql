-- What are the longest routes?
SELECT DISTINCT origin, dest, distance
FROM flights
ORDER BY distance DESC, origin, dest
LIMIT 12;
