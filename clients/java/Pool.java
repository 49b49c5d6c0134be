// CairnDB through HikariCP, the pool that Spring and most others use: many threads, few connections, connections given back in order,
// broken ones replaced.

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class Pool {
    static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static HikariDataSource pool() {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:postgresql://" + System.getenv("CAIRN_TCP") + "/cairn");
        config.setUsername("cairn");
        config.setPassword(System.getenv("CAIRN_TCP_PASSWORD"));
        config.setMaximumPoolSize(4);
        config.setMinimumIdle(1);
        config.addDataSourceProperty("ApplicationName", "pool program");
        return new HikariDataSource(config);
    }

    static long number(Connection connection, String query) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(query)) {
            check(rows.next(), query);
            return rows.getLong(1);
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (HikariDataSource pool = pool()) {
            try (Connection connection = pool.getConnection(); Statement statement = connection.createStatement()) {
                statement.execute("CREATE TABLE jp (id int PRIMARY KEY, n bigint NOT NULL)");
                statement.execute("INSERT INTO jp SELECT g, 0 FROM generate_series(1, 10) AS g");
            }
            // Sixteen threads of one hundred transactions each, over four connections.
            ExecutorService threads = Executors.newFixedThreadPool(16);
            List<Future<?>> works = new ArrayList<>();
            for (int thread = 0; thread < 16; thread++) {
                int first = thread;
                works.add(threads.submit(() -> {
                    for (int n = 0; n < 100; n++) {
                        try (Connection connection = pool.getConnection()) {
                            connection.setAutoCommit(false);
                            try (PreparedStatement update = connection.prepareStatement("UPDATE jp SET n = n + 1 WHERE id = ?")) {
                                update.setInt(1, (first + n) % 10 + 1);
                                check(update.executeUpdate() == 1, "one row");
                            }
                            connection.commit();
                        }
                    }
                    return null;
                }));
            }
            for (Future<?> work : works) {
                work.get();
            }
            threads.shutdown();
            try (Connection connection = pool.getConnection()) {
                check(number(connection, "SELECT sum(n) FROM jp") == 1600, "every update is there once");
                long connections = number(connection, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool program'");
                check(connections >= 1 && connections <= 4, connections);
            }
            // What is not committed when a connection goes back is rolled back, and its settings are the pool's again.
            try (Connection connection = pool.getConnection(); Statement statement = connection.createStatement()) {
                connection.setAutoCommit(false);
                connection.setReadOnly(true);
                connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
                check(number(connection, "SELECT count(*) FROM jp") == 10, "rows");
            }
            try (Connection connection = pool.getConnection(); Statement statement = connection.createStatement()) {
                check(connection.getAutoCommit() && !connection.isReadOnly(), "as it was");
                check(connection.getTransactionIsolation() == Connection.TRANSACTION_READ_COMMITTED, connection.getTransactionIsolation());
                connection.setAutoCommit(false);
                statement.executeUpdate("DELETE FROM jp");
            }
            // A connection that the server ends is replaced.
            try (Connection one = pool.getConnection(); Connection other = pool.getConnection()) {
                long victim = number(other, "SELECT pg_backend_pid()");
                check(number(one, "SELECT pg_terminate_backend(" + victim + ")::int") == 1, "ended");
                try {
                    number(other, "SELECT 1");
                    check(false, "no error");
                } catch (SQLException error) {
                    check(error.getSQLState().startsWith("57") || error.getSQLState().startsWith("08"), error.getSQLState());
                }
            }
            for (int n = 0; n < 8; n++) {
                try (Connection connection = pool.getConnection()) {
                    check(number(connection, "SELECT count(*) FROM jp") == 10, "what was not committed is not there");
                }
            }
        }
        System.out.println("HikariCP: threads, connections given back, connections replaced");
    }
}
