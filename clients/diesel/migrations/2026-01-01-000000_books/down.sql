DROP TABLE works;
DROP TABLE writers;
DROP TYPE shelf;
