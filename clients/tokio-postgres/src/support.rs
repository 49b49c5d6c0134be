//! Sessions of the server that the environment names.

use tokio_postgres::{Client, Config, NoTls};

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// How the server is reached: `CAIRN_HOST` (a name, or the directory of its socket), `CAIRN_PORT`.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config.host(variable("CAIRN_HOST").expect("CAIRN_HOST is set"));
    config.port(variable("CAIRN_PORT").map_or(5432, |port| port.parse().unwrap()));
    config.user("cairn").dbname("cairn");
    if let Some(password) = variable("CAIRN_PASSWORD") {
        config.password(password);
    }
    config
}

/// Over TCP, where a password is asked for: `CAIRN_TCP` is `host:port`.
pub(crate) fn tcp() -> Config {
    let address = variable("CAIRN_TCP").expect("CAIRN_TCP is set");
    let (host, port) = address.split_once(':').unwrap();
    let mut config = Config::new();
    config.host(host).port(port.parse().unwrap()).user("cairn").dbname("cairn");
    config
}

pub(crate) async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) async fn client() -> Client {
    connect(&config()).await.unwrap()
}

/// Every part begins without tables.
pub(crate) async fn clean() {
    client().await.batch_execute("DROP TABLE IF EXISTS t CASCADE").await.unwrap();
}

/// The SQLSTATE of an error.
pub(crate) fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("", |code| code.code())
}
