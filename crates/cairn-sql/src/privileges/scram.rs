//! Passwords as they are kept: verifiers of SCRAM-SHA-256 (RFC 5802, RFC 7677) in PostgreSQL's text form,
//! `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`. Who reads one cannot log in with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

/// Rounds of a new verifier, PostgreSQL's.
const ROUNDS: u32 = 4096;
/// Bytes of a salt.
pub(super) const SALT_BYTES: usize = 16;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// Bytes that the hash takes at once.
const BLOCK_BYTES: usize = 64;

type Hash = [u8; HASH_BYTES];

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn hmac(key: &[u8], message: &[u8]) -> Hash {
    let mut block = [0; BLOCK_BYTES];
    match key.len() > BLOCK_BYTES {
        true => block[..HASH_BYTES].copy_from_slice(&hash(&[key])),
        false => block[..key.len()].copy_from_slice(key),
    }
    let inner = hash(&[&block.map(|byte| byte ^ 0x36), message]);
    hash(&[&block.map(|byte| byte ^ 0x5c), &inner])
}

/// PBKDF2 with one block of output.
fn salted(password: &[u8], salt: &[u8], rounds: u32) -> Hash {
    let mut last = hmac(password, &[salt, &1u32.to_be_bytes()].concat());
    let mut all = last;
    for _ in 1..rounds {
        last = hmac(password, &last);
        all.iter_mut().zip(last).for_each(|(all, last)| *all ^= last);
    }
    all
}

/// The verifier of a new password.
pub(crate) fn verifier(password: &str, salt: &[u8; SALT_BYTES]) -> String {
    written(password, salt, ROUNDS)
}

fn written(password: &str, salt: &[u8], rounds: u32) -> String {
    // A password that SASLprep refuses is taken as it is, as PostgreSQL does.
    let prepared = stringprep::saslprep(password).unwrap_or(password.into());
    let salted = salted(prepared.as_bytes(), salt, rounds);
    let stored = hash(&[&hmac(&salted, b"Client Key")]);
    let server = hmac(&salted, b"Server Key");
    let text = |bytes: &[u8]| BASE64.encode(bytes);
    format!("SCRAM-SHA-256${rounds}:{}${}:{}", text(salt), text(&stored), text(&server))
}

/// Whether a text is a verifier already.
pub(crate) fn is_verifier(text: &str) -> bool {
    let read = || {
        let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let ((rounds, salt), (stored, server)) = (head.split_once(':')?, keys.split_once(':')?);
        rounds.parse::<u32>().ok().filter(|rounds| *rounds > 0)?;
        BASE64.decode(salt).ok()?;
        let key = |text: &str| BASE64.decode(text).ok().filter(|key| key.len() == HASH_BYTES);
        key(stored).and(key(server))
    };
    read().is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn verifiers_are_postgresql_s() {
        // ALTER ROLE … PASSWORD 'secret' in PostgreSQL 15.
        let text = "SCRAM-SHA-256$4096:D9tdWB2vPekaEwQ1SijePg==$Y9V7DAdu8tjd5CsBjybiuj/PrlY1BZtO6pu+VF/uXBw=:03nJYlPVS2e3K0V8qHqdFlOjSYZmBekSGwNkY0+TziQ=";
        let salt = BASE64.decode("D9tdWB2vPekaEwQ1SijePg==").unwrap();
        assert_eq!(written("secret", &salt, 4096), text);
        assert!(is_verifier(text) && !is_verifier("secret") && !is_verifier(&text[..text.len() - 4]));
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let tag = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(tag[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(
            hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")[..4],
            [0x60, 0xe4, 0x31, 0x59]
        );
    }
}
