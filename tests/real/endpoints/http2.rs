//! Endpoints that speak HTTP/2 with those who can, and HTTP/1.1 with others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Request, Response};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What it does with the requests of HTTP/2.
#[derive(Debug, Clone, Copy)]
pub enum Http2 {
    /// Answers 200.
    Answers,
    /// Refuses the first, which it has not looked at, and answers the next.
    RefusesFirst,
    /// Says of the first that it goes away before it has looked at it, and answers on the next connection.
    LeavesFirst,
    /// Answers 200 before it has read the body, and wants no more of it.
    AnswersEarly,
    /// Answers 413 before it has read the body, and wants no more of it.
    RefusesEarly,
    /// Ends the stream with an error.
    Fails,
    /// Answers 200 only where it is asked for under this name.
    Named(&'static str),
}

/// Frames (RFC 9113, 6.5 and 6.8): no settings; and that no stream was looked at.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Such an endpoint, on a free port.
pub struct Http2Endpoint {
    /// Its port.
    pub port: u16,
    serving: JoinHandle<()>,
}

impl Http2Endpoint {
    /// Starts it with a certificate and its key, in one file of PEM.
    pub async fn start(how: Http2, certificate: &str) -> Result<Http2Endpoint> {
        let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(certificate)?)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let serving = tokio::spawn(async move {
            let requests = Arc::new(AtomicUsize::new(0));
            while let Ok((connection, _)) = listener.accept().await {
                let (acceptor, requests) = (acceptor.clone(), Arc::clone(&requests));
                tokio::spawn(async move { Box::pin(serve(acceptor.accept(connection).await?, how, &requests)).await });
            }
        });
        Ok(Http2Endpoint { port, serving })
    }
}

impl Drop for Http2Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut connection: TlsStream<TcpStream>, how: Http2, requests: &AtomicUsize) -> Result<()> {
    if connection.get_ref().1.alpn_protocol() != Some(b"h2") {
        let mut request = Vec::new();
        while !request.ends_with(b"}") && connection.read_buf(&mut request).await? > 0 {}
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
        return Ok(connection.shutdown().await?);
    }
    if matches!(how, Http2::LeavesFirst) && requests.load(Ordering::Relaxed) == 0 {
        requests.fetch_add(1, Ordering::Relaxed);
        // The preface with its settings, and most likely the request.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _ = connection.read(&mut [0; 64 * 1024]).await?;
        connection.write_all(SETTINGS).await?;
        connection.write_all(GOAWAY).await?;
        connection.flush().await?;
        let _ = connection.read(&mut [0; 64 * 1024]).await?;
        return Ok(connection.shutdown().await?);
    }
    let mut connection = h2::server::handshake(connection).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        let is_first = requests.fetch_add(1, Ordering::Relaxed) == 0;
        tokio::spawn(answer(how, is_first, request, respond));
    }
    Ok(())
}

async fn answer(
    how: Http2,
    is_first: bool,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<()> {
    let status = |status: u16| Response::builder().status(status).body(());
    match how {
        Http2::RefusesFirst if is_first => respond.send_reset(Reason::REFUSED_STREAM),
        Http2::Fails => respond.send_reset(Reason::INTERNAL_ERROR),
        Http2::AnswersEarly | Http2::RefusesEarly => {
            let early = if matches!(how, Http2::AnswersEarly) { 200 } else { 413 };
            respond.send_response(status(early)?, true)?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            respond.send_reset(Reason::NO_ERROR);
        }
        _ => {
            let asked = request.uri().authority().context("an authority")?.host().to_owned();
            let has_host = request.headers().contains_key("host");
            let mut body = request.into_body();
            while let Some(piece) = body.data().await {
                body.flow_control().release_capacity(piece?.len())?;
            }
            let is_right = !matches!(how, Http2::Named(name) if asked != name || has_host);
            respond.send_response(status(if is_right { 200 } else { 421 })?, true)?;
        }
    }
    Ok(())
}
