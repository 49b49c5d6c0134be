//! Who comes in, and with what.

use crate::support::{self, code, connect};

pub(crate) async fn no_one_comes_in_without_the_password() {
    let password = std::env::var("CAIRN_TCP_PASSWORD").unwrap();
    for (user, given) in
        [("cairn", "wrong"), ("cairn", ""), ("someone", password.as_str()), ("postgres", "x")]
    {
        let mut config = support::tcp();
        config.user(user).password(given);
        assert_eq!(code(&connect(&config).await.err().unwrap()), "28P01", "{user}");
    }
    let mut config = support::tcp();
    config.password(password);
    let client = connect(&config).await.unwrap();
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

pub(crate) async fn a_session_begins_with_what_it_is_told() {
    let mut config = support::config();
    config.options("-c nonsense=1");
    assert_eq!(code(&connect(&config).await.err().unwrap()), "42704");
}

pub(crate) async fn a_statement_is_cancelled_by_whoever_knows_its_secret() {
    let client = support::client().await;
    let token = client.cancel_token();
    let query = client.query_one("SELECT count(*) FROM generate_series(1, 1000000000000) AS s(n)", &[]);
    let cancel = async {
        // Until it runs there is nothing to cancel.
        loop {
            token.cancel_query(tokio_postgres::NoTls).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::select! {
        ended = query => ended,
        () = cancel => unreachable!(),
    };
    assert_eq!(code(&ended.unwrap_err()), "57014");
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}
