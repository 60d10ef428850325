//! Who may send now: places among the requests in flight.
//!
//! Promises: webhooks whose endpoints answer quickly never wait for those that hang. Each webhook has places of
//! its own; what those that are quick share is never taken by those that are slow, and a webhook that was not tried
//! yet has one place that it need not share. A request that turns out to be slow gives its shared place back and
//! goes on without one; the next one of its webhook waits among the slow.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use crate::model::WebhookId;

/// An endpoint that takes longer is slow.
const QUICK: Duration = Duration::from_secs(1);

/// A slow webhook has so many lanes that are worked on at the same time.
const SLOW_LANES: usize = 4;

/// How a webhook's endpoint was the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Untried,
    Quick,
    Slow,
}

struct Webhook {
    pace: Pace,
    /// Its own, and how many they are.
    places: (Arc<Semaphore>, usize),
    /// Until it was tried.
    first: Arc<Semaphore>,
    /// Its lanes that are worked on.
    lanes: usize,
}

#[derive(Default)]
struct State {
    webhooks: HashMap<WebhookId, Webhook>,
    /// The lanes that are worked on, by the pace of their webhook.
    lanes: [usize; 3],
}

/// All the places.
pub struct Shares {
    of_each: usize,
    most_lanes: usize,
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    state: Mutex<State>,
}

/// A place among the requests in flight, until it is dropped.
pub struct Place {
    _own: OwnedSemaphorePermit,
    shared: Option<OwnedSemaphorePermit>,
}

impl Shares {
    /// So many places, so many of them for each webhook, and so many lanes of all webhooks at the same time.
    pub fn new(places: usize, of_each: usize, most_lanes: usize) -> Shares {
        let slow = (places / 4).max(1);
        Shares {
            of_each,
            most_lanes,
            quick: Arc::new(Semaphore::new(places.saturating_sub(slow).max(1))),
            slow: Arc::new(Semaphore::new(slow)),
            state: Mutex::default(),
        }
    }

    /// Waits for a place; the webhook has so many of its own, or as many as each.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub async fn place(&self, webhook: WebhookId, most: Option<usize>) -> Result<Place> {
        let own = self.state().of(webhook, self.of_each).places(most.unwrap_or(self.of_each));
        let own = own.acquire_owned().await?;
        loop {
            let (pace, shared) = {
                let mut state = self.state();
                let webhook = state.of(webhook, self.of_each);
                let shared = match webhook.pace {
                    Pace::Untried => &webhook.first,
                    Pace::Quick => &self.quick,
                    Pace::Slow => &self.slow,
                };
                (webhook.pace, Arc::clone(shared))
            };
            let shared = shared.acquire_owned().await?;
            // While it waited, another lane of the webhook may have found out more.
            if self.state().of(webhook, self.of_each).pace == pace {
                return Ok(Place { _own: own, shared: Some(shared) });
            }
        }
    }

    /// Waits for the answer, and learns how quick the endpoint is.
    pub async fn learn<T>(&self, webhook: WebhookId, place: &mut Place, answer: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        tokio::pin!(answer);
        let answer = tokio::select! {
            answer = &mut answer => answer,
            () = sleep(QUICK) => {
                self.state().note(webhook, Pace::Slow);
                place.shared = None;
                answer.await
            }
        };
        self.state().note(webhook, if begun.elapsed() < QUICK { Pace::Quick } else { Pace::Slow });
        answer
    }

    /// Whether one more lane of this webhook may be worked on; it counts until [`Shares::leave`].
    pub fn enter(&self, webhook: WebhookId) -> bool {
        let mut state = self.state();
        let (pace, lanes) = {
            let webhook = state.of(webhook, self.of_each);
            (webhook.pace, webhook.lanes)
        };
        let is_welcome = self.has_room(&state, pace, lanes);
        if is_welcome {
            state.of(webhook, self.of_each).lanes += 1;
            state.lanes[pace as usize] += 1;
        }
        is_welcome
    }

    /// Whether its endpoint answered quickly the last time.
    pub fn is_quick(&self, webhook: WebhookId) -> bool {
        self.state().of(webhook, self.of_each).pace == Pace::Quick
    }

    /// One lane fewer of this webhook is worked on.
    pub fn leave(&self, webhook: WebhookId) {
        let mut state = self.state();
        let webhook = state.of(webhook, self.of_each);
        webhook.lanes = webhook.lanes.saturating_sub(1);
        let pace = webhook.pace as usize;
        state.lanes[pace] = state.lanes[pace].saturating_sub(1);
    }

    /// The webhooks of which no more lanes may be worked on now.
    pub fn full(&self) -> Vec<WebhookId> {
        let state = self.state();
        let full = state.webhooks.iter().filter(|(_, webhook)| !self.has_room(&state, webhook.pace, webhook.lanes));
        full.map(|(id, _)| *id).collect()
    }

    /// Slow webhooks have a quarter of the lanes, and three quarters with those that may turn out to be slow.
    fn has_room(&self, state: &State, pace: Pace, lanes: usize) -> bool {
        let [untried, _, slow] = state.lanes;
        match pace {
            Pace::Quick => lanes < self.most_lanes / 8,
            Pace::Untried => lanes < self.most_lanes / 8 && untried + slow < self.most_lanes * 3 / 4,
            Pace::Slow => lanes < SLOW_LANES && slow < self.most_lanes / 4,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Webhook {
    /// Its own places. Where they are others than before, what is in flight ends on those that it has.
    fn places(&mut self, most: usize) -> Arc<Semaphore> {
        if self.places.1 != most {
            self.places = (Arc::new(Semaphore::new(most)), most);
        }
        Arc::clone(&self.places.0)
    }
}

impl State {
    fn of(&mut self, webhook: WebhookId, places: usize) -> &mut Webhook {
        self.webhooks.entry(webhook).or_insert_with(|| Webhook {
            pace: Pace::Untried,
            places: (Arc::new(Semaphore::new(places)), places),
            first: Arc::new(Semaphore::new(1)),
            lanes: 0,
        })
    }

    fn note(&mut self, webhook: WebhookId, pace: Pace) {
        if let Some(webhook) = self.webhooks.get_mut(&webhook) {
            self.lanes[webhook.pace as usize] = self.lanes[webhook.pace as usize].saturating_sub(webhook.lanes);
            self.lanes[pace as usize] += webhook.lanes;
            webhook.pace = pace;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(10);
    const ONE: WebhookId = WebhookId(1);

    #[tokio::test(start_paused = true)]
    async fn those_that_hang_hold_up_nobody_who_answers() {
        let shares = Arc::new(Shares::new(8, 4, 80));
        for webhook in (2..100).map(WebhookId) {
            for _lane in 0..10 {
                let shares = Arc::clone(&shares);
                tokio::spawn(async move {
                    let mut place = shares.place(webhook, None).await.unwrap();
                    shares.learn(webhook, &mut place, pending::<()>()).await;
                });
            }
        }
        for _ in 0..200 {
            sleep(Duration::from_millis(700)).await;
            let mut place = timeout(SOON, shares.place(ONE, None)).await.expect("it waits for others").unwrap();
            shares.learn(ONE, &mut place, async {}).await;
        }
        let is_slow = |webhook: WebhookId| shares.state().of(webhook, 4).pace == Pace::Slow;
        assert!((2..100).map(WebhookId).all(is_slow) && !is_slow(ONE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_webhook_has_no_more_than_its_own_places() {
        let shares = Shares::new(8, 2, 80);
        let mut first = shares.place(ONE, None).await.unwrap();
        assert!(timeout(SOON, shares.place(ONE, None)).await.is_err(), "one, until it was tried");
        shares.learn(ONE, &mut first, async {}).await;
        drop(first);
        let _places = (shares.place(ONE, None).await.unwrap(), shares.place(ONE, None).await.unwrap());
        assert!(timeout(SOON, shares.place(ONE, None)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_slow_webhook_few_lanes_are_worked_on() {
        let shares = Shares::new(8, 2, 80);
        assert_eq!((0..20).filter(|_| shares.enter(ONE)).count(), 10);
        assert_eq!(shares.full(), [ONE]);
        let mut place = shares.place(ONE, None).await.unwrap();
        shares.learn(ONE, &mut place, sleep(2 * QUICK)).await;
        for _ in 0..6 {
            shares.leave(ONE);
        }
        assert_eq!((shares.enter(ONE), shares.full()), (false, vec![ONE]));
        drop(place);
        let mut place = shares.place(ONE, None).await.unwrap();
        shares.learn(ONE, &mut place, async {}).await;
        assert!(shares.enter(ONE) && shares.full().is_empty());
        assert!((2..200).map(WebhookId).all(|webhook| shares.enter(webhook) || !shares.full().is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_webhook_may_have_other_places_of_its_own() {
        let shares = Shares::new(8, 2, 80);
        let mut first = shares.place(ONE, Some(1)).await.unwrap();
        shares.learn(ONE, &mut first, async {}).await;
        assert!(timeout(SOON, shares.place(ONE, Some(1))).await.is_err());
        drop(first);
        let _places = [shares.place(ONE, Some(3)).await.unwrap(), shares.place(ONE, Some(3)).await.unwrap()];
        let _third = timeout(SOON, shares.place(ONE, Some(3))).await.expect("it has more than each").unwrap();
        assert!(timeout(SOON, shares.place(ONE, Some(3))).await.is_err());
    }
}
