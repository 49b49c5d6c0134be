//! Answers with rows: whole where they are short, else streamed while they are made.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cairndb::arrow::RecordBatch;
use cairndb::copy::{CopyOptions, Format, Header, RowWriter};
use cairndb::{Notice, Rows};
use tokio::sync::mpsc;

use super::json::{Document, RowsAs};
use super::problem::Problem;
use super::request::Form;

/// Pieces that wait for the client.
const PIECES_MAX: usize = 2;
/// Bytes of a piece, about.
const PIECE_BYTES: usize = 64 << 10;

/// What the client wants of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) form: Form,
    pub(super) rows_as: RowsAs,
}

/// What COPY's writers write to.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Makes the bytes of a result.
enum Encoder {
    Json(Document),
    /// The writer, until it has finished.
    File(Option<Box<RowWriter>>, Written),
}

impl Encoder {
    fn new(wanted: Wanted, rows: &Rows) -> Result<Encoder, Problem> {
        let format = match wanted.form {
            Form::Json => return Ok(Encoder::Json(Document::new(rows.columns(), wanted.rows_as)?)),
            Form::JsonLines => Format::JsonLines,
            Form::Csv => Format::Csv,
            Form::Arrow => Format::Arrow,
            Form::Parquet => Format::Parquet,
        };
        let header = (format == Format::Csv).then_some(Header::Yes);
        let options = CopyOptions { format: Some(format), header, ..CopyOptions::default() };
        let written = Written::default();
        let writer = RowWriter::new(written.clone(), &options, rows)?;
        Ok(Encoder::File(Some(Box::new(writer)), written))
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        match self {
            Encoder::Json(document) => document.batch(batch),
            Encoder::File(Some(writer), _) => writer.write(batch)?,
            Encoder::File(None, _) => {}
        }
        Ok(())
    }

    fn finish(&mut self, tag: &str, notices: &[Notice]) -> Result<(), Problem> {
        match self {
            Encoder::Json(document) => document.finish(tag, notices),
            Encoder::File(writer, _) => {
                if let Some(writer) = writer.take() {
                    writer.finish()?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        match self {
            Encoder::Json(document) => document.take(),
            Encoder::File(_, written) => written.take(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Encoder::Json(document) => document.len(),
            Encoder::File(_, written) => written.len(),
        }
    }
}

/// Has what was said besides, once the rows are read.
pub(super) trait Said: Send + 'static {
    fn notices(&mut self) -> Vec<Notice>;

    /// Everything was read.
    fn done(&mut self) {}
}

/// Answers with rows. What fails before the first batch is an error; what fails later breaks the
/// transfer off, or leaves the document open.
pub(super) async fn rows(mut rows: Rows, wanted: Wanted, mut said: impl Said) -> Result<Response, Problem> {
    let mut encoder = Encoder::new(wanted, &rows)?;
    loop {
        match rows.next_batch_async().await? {
            None => {
                encoder.finish(&rows.tag(), &said.notices())?;
                said.done();
                return Ok(answer(wanted.form, Body::from(encoder.take())));
            }
            Some(batch) => encoder.batch(&batch)?,
        }
        if encoder.len() >= PIECE_BYTES {
            break;
        }
    }
    let (pieces, mut waiting) = mpsc::channel::<Result<Bytes, std::io::Error>>(PIECES_MAX);
    tokio::spawn(async move {
        if let Err(problem) = send(&mut rows, &mut encoder, &pieces, &mut said).await {
            // A document that stays open is read by nobody as a whole, and says why.
            let last = match &mut encoder {
                Encoder::Json(document) => {
                    document.fail(&problem);
                    Ok(Bytes::from(document.take()))
                }
                Encoder::File(..) => Err(std::io::Error::other("the statement failed")),
            };
            let _ = pieces.send(last).await;
        }
    });
    let body = Body::from_stream(futures::stream::poll_fn(move |context| waiting.poll_recv(context)));
    Ok(answer(wanted.form, body))
}

/// Sends the rest of a result; ends when the client is gone.
async fn send(
    rows: &mut Rows,
    encoder: &mut Encoder,
    pieces: &mpsc::Sender<Result<Bytes, std::io::Error>>,
    said: &mut impl Said,
) -> Result<(), Problem> {
    loop {
        if encoder.len() >= PIECE_BYTES && pieces.send(Ok(Bytes::from(encoder.take()))).await.is_err() {
            return Ok(());
        }
        match rows.next_batch_async().await? {
            Some(batch) => encoder.batch(&batch)?,
            None => break,
        }
    }
    encoder.finish(&rows.tag(), &said.notices())?;
    said.done();
    let _ = pieces.send(Ok(Bytes::from(encoder.take()))).await;
    Ok(())
}

fn answer(form: Form, body: Body) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    response
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, text: String) -> Response {
    let mut response = (status, text).into_response();
    let kind = HeaderValue::from_static(Form::Json.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
