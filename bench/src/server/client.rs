//! As much of a client as is needed to measure: what it reads is counted, not looked at.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, bail};

use super::Peer;

/// A session.
pub struct Client {
    stream: BufReader<UnixStream>,
    body: Vec<u8>,
}

impl Client {
    /// Connects to a peer that asks for no password.
    pub fn connect(peer: &Peer) -> Result<Client> {
        let path = peer.socket.join(format!(".s.PGSQL.{}", peer.port));
        let stream = UnixStream::connect(&path).with_context(|| path.display().to_string())?;
        let mut client = Client { stream: BufReader::with_capacity(256 << 10, stream), body: Vec::new() };
        let mut opening = 196_608u32.to_be_bytes().to_vec();
        for part in ["user", peer.user, "database", peer.database, ""] {
            opening.extend(part.as_bytes());
            opening.push(0);
        }
        let length = (opening.len() as u32 + 4).to_be_bytes();
        client.stream.get_mut().write_all(&[&length[..], &opening].concat())?;
        client.until_ready()?;
        Ok(client)
    }

    /// Runs a statement; the rows or lines that came.
    pub fn run(&mut self, sql: &str) -> Result<u64> {
        self.send(b'Q', &[sql.as_bytes(), &[0]].concat())?;
        self.until_ready()
    }

    /// Runs a COPY of what `source` has.
    pub fn copy_in(&mut self, sql: &str, source: &mut impl Read) -> Result<()> {
        self.send(b'Q', &[sql.as_bytes(), &[0]].concat())?;
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = source.read(&mut piece)?;
            if read == 0 {
                break;
            }
            self.send(b'd', &piece[..read])?;
        }
        self.send(b'c', &[])?;
        self.until_ready()?;
        Ok(())
    }

    fn send(&mut self, tag: u8, body: &[u8]) -> Result<()> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        let stream = self.stream.get_mut();
        stream.write_all(&[&[tag], &length[..]].concat())?;
        Ok(stream.write_all(body)?)
    }

    /// Reads to ReadyForQuery; counts rows and lines.
    fn until_ready(&mut self) -> Result<u64> {
        let (mut rows, mut failed) = (0, None);
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head)?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            self.body.resize(length.saturating_sub(4), 0);
            self.stream.read_exact(&mut self.body)?;
            match head[0] {
                b'D' | b'd' => rows += 1,
                b'E' => failed = Some(String::from_utf8_lossy(&self.body).replace('\0', " ")),
                // Authentication that wants something.
                b'R' if self.body.iter().any(|byte| *byte != 0) => bail!("a password is wanted"),
                b'Z' => break,
                _ => {}
            }
            if let (Some(error), true) = (&failed, head[0] == b'E') {
                // Before the session is open no ReadyForQuery follows.
                if error.contains("FATAL") {
                    break;
                }
            }
        }
        match failed {
            Some(error) => bail!(error),
            None => Ok(rows),
        }
    }
}
