//! Key exchange over P-521 (RFC 8422, 5.1.1): in TLS 1.2 a server whose certificate is of this curve demands that the
//! client has the curve among its groups. The cryptography is aws-lc's; rustls has no name for it.

use aws_lc_rs::agreement::{ECDH_P521, EphemeralPrivateKey, PublicKey, UnparsedPublicKey, agree_ephemeral};
use aws_lc_rs::rand::SystemRandom;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

/// The group, to be offered after all others.
#[derive(Debug)]
pub struct P521;

struct Exchange {
    private: EphemeralPrivateKey,
    public: PublicKey,
}

impl SupportedKxGroup for P521 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let failed = |_| Error::from(GetRandomFailed);
        let private = EphemeralPrivateKey::generate(&ECDH_P521, &SystemRandom::new()).map_err(failed)?;
        let public = private.compute_public_key().map_err(failed)?;
        Ok(Box::new(Exchange { private, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let wrong = Error::from(PeerMisbehaved::InvalidKeyShare);
        // A point is uncompressed in TLS (RFC 8422, 5.4.1); that it is on the curve is looked at below.
        if peer.first() != Some(&4) {
            return Err(wrong);
        }
        let peer = UnparsedPublicKey::new(&ECDH_P521, peer);
        agree_ephemeral(self.private, peer, wrong, |secret| Ok(SharedSecret::from(secret)))
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sides_agree_and_a_wrong_point_is_an_error() {
        let (ours, theirs) = (P521.start().unwrap(), P521.start().unwrap());
        let (our_key, their_key) = (ours.pub_key().to_vec(), theirs.pub_key().to_vec());
        let secret = ours.complete(&their_key).unwrap();
        assert_eq!(secret.secret_bytes(), theirs.complete(&our_key).unwrap().secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 66);
        for wrong in [&[][..], &[4][..], &[4; 133][..], &our_key[1..]] {
            assert!(P521.start().unwrap().complete(wrong).is_err());
        }
    }
}
