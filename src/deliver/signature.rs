//! What proves to a receiver that a request is ours: a signature after Standard Webhooks, "Signature scheme"
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use aws_lc_rs::hmac;
use data_encoding::BASE64;

/// The signature of a body by one secret, `whsec_` and base64; `None` where the secret is none. The timestamp is in seconds
/// since 1970.
pub fn signature(secret: &str, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret).as_bytes()).ok()?;
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    Some(format!("v1,{}", BASE64.encode(context.sign().as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use standardwebhooks::Webhook;

    proptest! {
        #[test]
        fn signatures_are_those_of_the_specifications_own_library(key in prop::collection::vec(any::<u8>(), 1..100), body: String) {
            let secret = format!("whsec_{}", BASE64.encode(&key));
            let expected = Webhook::new(&secret).unwrap().sign("msg_1", 1_700_000_000, body.as_bytes()).unwrap();
            prop_assert_eq!(signature(&secret, "msg_1", 1_700_000_000, body.as_bytes()), Some(expected));
        }
    }
}
