//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side.
//!
//! I1. What is kept of a password is a [`Verifier`]: who reads it cannot log in with it.
//! I2. An unknown user and a wrong password look alike, down to the salt that a name gets as long as the server runs.

use std::num::NonZeroU32;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};

use crate::registry::is_same;

/// Rounds of a new verifier, PostgreSQL's.
const ROUNDS: u32 = 4096;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 18;

/// The only mechanism without TLS.
pub(crate) const MECHANISM: &str = "SCRAM-SHA-256";

/// The one with TLS: the exchange is bound to the connection.
pub(crate) const MECHANISM_BOUND: &str = "SCRAM-SHA-256-PLUS";

/// What the exchange can be bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Channel<'a> {
    /// Nothing.
    Plain,
    /// A certificate, to which the client does not bind it.
    CouldBeBound,
    /// The hash of the certificate.
    Bound(&'a [u8]),
}

/// What the server keeps of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}

fn hash(data: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, data).as_ref().to_vec()
}

impl Verifier {
    /// Of a new password; `None` where no random numbers can be had.
    #[must_use]
    pub fn of_password(password: &str) -> Option<Verifier> {
        let mut salt = vec![0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).ok()?;
        Some(Verifier::with_salt(password, salt, NonZeroU32::new(ROUNDS)?))
    }

    /// That of a user who is not there: the same salt each time, which nobody can tell from another, and at no more cost.
    pub(crate) fn of_nobody(user: &str) -> Verifier {
        static SECRET: OnceLock<[u8; 32]> = OnceLock::new();
        let secret = SECRET.get_or_init(|| {
            let mut secret = [0; 32];
            // Without random numbers nobody comes this far.
            let _ = SystemRandom::new().fill(&mut secret);
            secret
        });
        let salt = hmac(secret, user.as_bytes())[..SALT_BYTES].to_vec();
        let (stored_key, server_key) = (hash(&salt), hmac(secret, &salt));
        Verifier { rounds: NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN), salt, stored_key, server_key }
    }

    fn with_salt(password: &str, salt: Vec<u8>, rounds: NonZeroU32) -> Verifier {
        // A password that SASLprep refuses is taken as it is, as PostgreSQL does.
        let prepared = stringprep::saslprep(password).unwrap_or(password.into());
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, prepared.as_bytes(), &mut salted);
        let stored_key = hash(&hmac(&salted, b"Client Key"));
        Verifier { rounds, salt, stored_key, server_key: hmac(&salted, b"Server Key") }
    }

    /// Whether it is of this password; takes thousands of rounds.
    pub(crate) fn accepts(&self, password: &str) -> bool {
        let given = Verifier::with_salt(password, self.salt.clone(), self.rounds);
        is_same(&given.stored_key, &self.stored_key)
    }

    /// PostgreSQL's text of it, as `pg_authid` has it: `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Verifier> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (head, keys) = rest.split_once('$')?;
        let ((rounds, salt), (stored, server)) = (head.split_once(':')?, keys.split_once(':')?);
        let key = |text: &str| BASE64.decode(text).ok().filter(|key| key.len() == digest::SHA256_OUTPUT_LEN);
        Some(Verifier {
            rounds: rounds.parse().ok()?,
            salt: BASE64.decode(salt).ok()?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }

    /// The inverse of [`Verifier::parse`].
    #[must_use]
    pub fn to_text(&self) -> String {
        let text = |bytes: &[u8]| BASE64.encode(bytes);
        format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.rounds,
            text(&self.salt),
            text(&self.stored_key),
            text(&self.server_key)
        )
    }
}

/// What ends an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What the client sent is no message of SCRAM.
    Malformed(&'static str),
    /// It does not know the password.
    Refused,
}

/// An exchange after the first message of each side.
#[derive(Debug)]
pub(crate) struct Exchange {
    verifier: Verifier,
    /// Whether there is such a user: if not, no proof is good.
    is_known: bool,
    client_first: String,
    server_first: String,
    binding: String,
    nonce: String,
}

impl Exchange {
    /// Answers the client's first message. Without a verifier the exchange goes on to its end, and fails.
    pub(crate) fn begin(
        first: &[u8],
        user: &str,
        verifier: Option<&Verifier>,
        channel: Channel<'_>,
    ) -> Result<(Exchange, String), Failure> {
        let mut own = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut own).map_err(|_| Failure::Refused)?;
        let first = std::str::from_utf8(first).map_err(|_| Failure::Malformed("not UTF-8"))?;
        let (header, bare) = match (channel, first.get(..3)) {
            (Channel::Bound(_), _) => {
                let header = "p=tls-server-end-point,,";
                (header, first.strip_prefix(header).ok_or(Failure::Malformed("unexpected channel binding"))?)
            }
            (Channel::Plain | Channel::CouldBeBound, Some("n,,")) => ("n,,", &first[3..]),
            (Channel::Plain, Some("y,,")) => ("y,,", &first[3..]),
            // It could have bound it, and was told that the server cannot: by someone in between.
            (Channel::CouldBeBound, Some("y,,")) => {
                return Err(Failure::Malformed("channel binding was negotiated away"));
            }
            _ => return Err(Failure::Malformed("unexpected channel-binding flag or authorization identity")),
        };
        let mut binding = header.as_bytes().to_vec();
        if let Channel::Bound(end_point) = channel {
            binding.extend_from_slice(end_point);
        }
        let nonce = bare
            .strip_prefix("n=")
            .and_then(|rest| rest.split_once(",r="))
            .map(|(_, nonce)| nonce.split(',').next().unwrap_or_default())
            .filter(|nonce| !nonce.is_empty())
            .ok_or(Failure::Malformed("no nonce"))?;
        let nonce = format!("{nonce}{}", BASE64.encode(own));
        let is_known = verifier.is_some();
        let verifier = verifier.cloned().unwrap_or_else(|| Verifier::of_nobody(user));
        let server_first = format!("r={nonce},s={},i={}", BASE64.encode(&verifier.salt), verifier.rounds);
        let exchange = Exchange {
            verifier,
            is_known,
            client_first: bare.to_owned(),
            server_first: server_first.clone(),
            binding: BASE64.encode(binding),
            nonce,
        };
        Ok((exchange, server_first))
    }

    /// Checks the client's proof; the server's own is returned.
    pub(crate) fn finish(self, last: &[u8]) -> Result<String, Failure> {
        let last = std::str::from_utf8(last).map_err(|_| Failure::Malformed("not UTF-8"))?;
        let (without_proof, proof) = last.rsplit_once(",p=").ok_or(Failure::Malformed("no proof"))?;
        let expected = format!("c={},r={}", self.binding, self.nonce);
        if without_proof != expected {
            return Err(Failure::Malformed("the nonce or the channel binding does not match"));
        }
        let proof = BASE64.decode(proof).map_err(|_| Failure::Malformed("the proof is not base64"))?;
        let all = format!("{},{},{without_proof}", self.client_first, self.server_first);
        let signature = hmac(&self.verifier.stored_key, all.as_bytes());
        if proof.len() != signature.len() {
            return Err(Failure::Malformed("the proof has another length"));
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let differs =
            hash(&client_key).iter().zip(&self.verifier.stored_key).fold(0, |d, (a, b)| d | (a ^ b));
        if differs != 0 || !self.is_known {
            return Err(Failure::Refused);
        }
        Ok(format!("v={}", BASE64.encode(hmac(&self.verifier.server_key, all.as_bytes()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client does.
    fn proof(password: &str, first: &str, answer: &str) -> Vec<u8> {
        let field = |name: &str| {
            answer
                .split(',')
                .find_map(|part| part.strip_prefix(name))
                .expect("the server sends it")
                .to_owned()
        };
        let (nonce, salt, rounds) = (field("r="), field("s="), field("i="));
        let rounds = rounds.parse().expect("rounds are a number");
        let mut salted = [0; 32];
        let salt = BASE64.decode(salt).expect("the salt is base64");
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut salted);
        let key = hmac(&salted, b"Client Key");
        let without = format!("c=biws,r={nonce}");
        let signature = hmac(&hash(&key), format!("{},{answer},{without}", &first[3..]).as_bytes());
        let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        format!("{without},p={}", BASE64.encode(proof)).into_bytes()
    }

    #[test]
    fn who_knows_the_password_comes_in_and_no_one_else() {
        let kept = Verifier::of_password("pencil").expect("random numbers");
        let kept = Verifier::parse(&kept.to_text()).expect("its own text");
        let first = "n,,n=,r=abc";
        for (password, verifier, good) in
            [("pencil", Some(&kept), true), ("pen", Some(&kept), false), ("", None, false)]
        {
            let (exchange, answer) =
                Exchange::begin(first.as_bytes(), "u", verifier, Channel::Plain).expect("well formed");
            assert_eq!(exchange.finish(&proof(password, first, &answer)).is_ok(), good, "{password}");
        }
    }

    #[test]
    fn what_postgresql_stores_is_read() {
        // ALTER ROLE … PASSWORD 'secret' in PostgreSQL 15.
        let text = "SCRAM-SHA-256$4096:D9tdWB2vPekaEwQ1SijePg==$Y9V7DAdu8tjd5CsBjybiuj/PrlY1BZtO6pu+VF/uXBw=:03nJYlPVS2e3K0V8qHqdFlOjSYZmBekSGwNkY0+TziQ=";
        let kept = Verifier::parse(text).expect("PostgreSQL's text");
        assert_eq!(kept.to_text(), text);
        assert_eq!(Verifier::with_salt("secret", kept.salt.clone(), kept.rounds), kept);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let kept = Verifier::of_password("p").expect("random numbers");
        for first in ["", "n,,", "p=tls,,n=,r=a", "n,a=x,n=,r=a", "n,,n=,r=", "n,,r=a"] {
            assert!(Exchange::begin(first.as_bytes(), "u", Some(&kept), Channel::Plain).is_err(), "{first}");
        }
        for last in ["", "c=biws,r=x,p=", "p=AAAA"] {
            let (exchange, _) =
                Exchange::begin(b"n,,n=,r=abc", "u", Some(&kept), Channel::Plain).expect("well formed");
            assert!(matches!(exchange.finish(last.as_bytes()), Err(Failure::Malformed(_))), "{last}");
        }
    }
}
