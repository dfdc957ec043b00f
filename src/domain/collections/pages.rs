//! A vector by id that is a value. A clone copies one word; an edit copies one page and the list of pages.

use std::sync::Arc;

use crate::domain::collections::numbered::Numbered;

const PAGE: usize = 64;

#[derive(Clone)]
pub struct Pages<T> {
    pages: Arc<[Page<T>]>,
    len: usize,
}

type Page<T> = Option<Arc<[Option<T>; PAGE]>>;

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Arc::from([]), len: 0 }
    }
}

impl<T: Clone> Pages<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn get(&self, id: impl Numbered) -> Option<&T> {
        let index = id.index();
        self.pages.get(index / PAGE)?.as_ref()?[index % PAGE].as_ref()
    }

    pub fn get_mut(&mut self, id: impl Numbered) -> Option<&mut T> {
        self.get(id)?;
        let index = id.index();
        let page = Arc::make_mut(&mut self.pages).get_mut(index / PAGE)?.as_mut()?;
        Arc::make_mut(page)[index % PAGE].as_mut()
    }

    /// Sets or clears the value of an id. Returns the previous value.
    pub fn set(&mut self, id: impl Numbered, value: Option<T>) -> Option<T> {
        let index = id.index();
        if value.is_none() && self.get(id).is_none() {
            return None;
        }
        if self.pages.len() <= index / PAGE {
            // Grow by half: loading a million ids in order must not copy the list a million times.
            let grown = (index / PAGE + 1).max(self.pages.len() * 3 / 2);
            self.pages = self.pages.iter().cloned().chain(std::iter::repeat(None)).take(grown).collect();
        }
        let place = &mut Arc::make_mut(&mut self.pages)[index / PAGE];
        let page = place.get_or_insert_with(|| Arc::new([const { None }; PAGE]));
        self.len += usize::from(value.is_some());
        let before = std::mem::replace(&mut Arc::make_mut(page)[index % PAGE], value);
        self.len -= usize::from(before.is_some());
        // Ids are not reused. A page whose ids are all deleted must not take memory for ever.
        if page.iter().all(Option::is_none) {
            *place = None;
        }
        before
    }

    /// Returns the values in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten().flat_map(|page| page.iter().flatten())
    }

    /// Returns the ids and values in the order of ids.
    pub fn entries<I: Numbered>(&self) -> impl Iterator<Item = (I, &T)> {
        let pages = self.pages.iter().enumerate();
        let slots = pages.flat_map(|(number, page)| {
            let slots = page.iter().flat_map(|page| page.iter()).enumerate();
            slots.map(move |(slot, value)| (number * PAGE + slot, value))
        });
        slots.filter_map(|(index, value)| {
            Some((I::from_number(std::num::NonZeroU32::new(index as u32)?), value.as_ref()?))
        })
    }
}

/// Compares the contents. Empty pages do not count.
impl<T: Clone + PartialEq> PartialEq for Pages<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len
            && self.pages.iter().enumerate().all(|(number, page)| {
                let theirs = other.pages.get(number).and_then(Option::as_ref);
                match (page, theirs) {
                    (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs) || ours == theirs,
                    (Some(page), None) | (None, Some(page)) => page.iter().all(Option::is_none),
                    (None, None) => true,
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn id(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn keeps_what_was_set_and_a_clone_does_not_change() {
        let mut pages = Pages::default();
        for number in [1, 63, 64, 65, 4_000] {
            pages.set(id(number), Some(number));
        }
        let before = pages.clone();
        assert_eq!(pages.set(id(64), None), Some(64));
        assert_eq!(pages.set(id(64), None), None);
        *pages.get_mut(id(65)).unwrap() += 1;
        assert_eq!(pages.iter().copied().collect::<Vec<_>>(), [1, 63, 66, 4_000]);
        assert_eq!(before.iter().copied().collect::<Vec<_>>(), [1, 63, 64, 65, 4_000]);
        assert_eq!(pages.len(), 4);
        let ids: Vec<u32> = pages.entries::<NonZeroU32>().map(|(id, _)| id.get()).collect();
        assert_eq!(ids, [1, 63, 65, 4_000]);
    }

    #[test]
    fn equality_is_of_contents() {
        let (mut one, mut other) = (Pages::default(), Pages::default());
        one.set(id(3), Some('x'));
        other.set(id(5_000), Some('y'));
        other.set(id(3), Some('x'));
        assert!(one != other);
        other.set(id(5_000), None);
        assert!(one == other);
        assert!(other == one);
    }
}
