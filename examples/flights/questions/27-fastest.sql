-- Which flights were the fastest over the ground, in miles an hour?
SELECT carrier, flight, origin, dest, month, day, round(distance / (air_time / 60.0), 1) AS mph
FROM flights
WHERE air_time > 0
ORDER BY distance / (air_time / 60.0) DESC, carrier, flight
LIMIT 10;
