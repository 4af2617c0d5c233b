//! Arrays at every place of a message: in registers, in the buffer, across the
//! border.

use libipc::{fake, objects::ObjectError};

/// An interface of arrays.
mod arrays {
    use libipc::objects::ObjectError;

    /// Takes arrays and gives them back.
    #[libipc::interface]
    pub(crate) trait Arrays {
        /// Up to the border, across it and beyond.
        #[op(0, idempotent)]
        fn turn(
            &mut self,
            first: [u16; 3],
            second: [u64; 9],
            flag: bool,
            third: [i32; 20],
        ) -> Result<([u64; 5], [i16; 7], u64), ObjectError>;
        /// As many as fit.
        #[op(1, idempotent)]
        fn many(&mut self, words: [u64; 300]) -> Result<[u64; 300], ObjectError>;
    }
}

use arrays::{Arrays, ArraysClient};

struct Server;

fn third(index: usize) -> i32 {
    index as i32 * 7 - 60
}

impl Arrays for Server {
    fn turn(
        &mut self,
        first: [u16; 3],
        second: [u64; 9],
        flag: bool,
        third: [i32; 20],
    ) -> Result<([u64; 5], [i16; 7], u64), ObjectError> {
        assert_eq!(first, [1, 2, u16::MAX]);
        assert_eq!(second, std::array::from_fn(|index| u64::MAX - index as u64));
        assert!(flag);
        assert_eq!(third, std::array::from_fn(self::third));
        let low = std::array::from_fn(|index| third[index] as i16);
        Ok((std::array::from_fn(|index| second[index + 4]), low, 99))
    }

    fn many(&mut self, mut words: [u64; 300]) -> Result<[u64; 300], ObjectError> {
        words.reverse();
        Ok(words)
    }
}

#[test]
fn arrays_arrive_wherever_they_lie() {
    let client: ArraysClient =
        fake::serve(|endpoint| libipc::serve::<dyn Arrays>(endpoint, &mut Server));
    let second = std::array::from_fn(|index| u64::MAX - index as u64);
    let turned = client.turn([1, 2, u16::MAX], second, true, std::array::from_fn(third));
    let words = std::array::from_fn(|index| second[index + 4]);
    let low = std::array::from_fn(|index| third(index) as i16);
    assert_eq!(turned, Ok((words, low, 99)));
    let many = std::array::from_fn(|index| index as u64);
    assert_eq!(
        client.many(many),
        Ok(std::array::from_fn(|index| 299 - index as u64))
    );
}
