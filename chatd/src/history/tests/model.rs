//! Random batches with repeats have the outcomes that a simple model says, also after restarts.

use std::collections::BTreeMap;

use hub::{Outcome, Record};
use proptest::prelude::*;
use proto::Seq;

use super::{Folder, Maker, opened, time_of};

/// One message of a batch: its room, its id, what it says; few of each, so that they meet.
type Said = (u8, u64, u8);

#[derive(Clone, Debug)]
enum Step {
    Batch(Vec<Said>),
    /// The daemon is killed and started, or ends and is started.
    Restart {
        is_clean: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let said = (0..3_u8, 0..40_u64, 0..2_u8);
    prop_oneof![
        4 => proptest::collection::vec(said, 1..20).prop_map(Step::Batch),
        1 => any::<bool>().prop_map(|is_clean| Step::Restart { is_clean }),
    ]
}

/// What each id names, and how far each room is.
#[derive(Default)]
struct Model {
    ids: BTreeMap<u64, (u8, u64, u8)>,
    seqs: BTreeMap<u8, u64>,
}

impl Model {
    fn post(&mut self, (room, id, content): Said) -> (u64, Outcome) {
        let seq = self.seqs.entry(room).or_default();
        *seq += 1;
        let seq = *seq;
        let outcome = match self.ids.get(&id) {
            None => {
                self.ids.insert(id, (room, seq, content));
                Outcome::Stored
            }
            Some((in_room, first, said)) if (*in_room, *said) == (room, content) => {
                Outcome::Repeated { seq: Seq(*first), time: time_of(*first) }
            }
            Some(_) => Outcome::Conflict,
        };
        (seq, outcome)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_are_what_the_model_says(steps in proptest::collection::vec(step(), 1..12)) {
        let (folder, maker) = (Folder::new(), Maker::new());
        let mut model = Model::default();
        let mut writer = opened(&folder.database()).writer;
        for step in steps {
            match step {
                Step::Batch(batch) => {
                    let (records, expected): (Vec<Record>, Vec<Outcome>) = batch
                        .into_iter()
                        .map(|said| {
                            let (seq, outcome) = model.post(said);
                            let room = format!("room-{}", said.0);
                            (maker.record(&room, seq, said.1, &[said.2]), outcome)
                        })
                        .unzip();
                    prop_assert_eq!(writer.commit(&records).unwrap(), expected);
                }
                Step::Restart { is_clean } => {
                    if is_clean {
                        writer.close().unwrap();
                    } else {
                        drop(writer);
                    }
                    let it = opened(&folder.database());
                    for room in &it.rooms {
                        let no = room.name.as_str().trim_start_matches("room-").parse().unwrap();
                        prop_assert_eq!(room.last, Seq(model.seqs[&no]));
                    }
                    writer = it.writer;
                }
            }
            prop_assert_eq!(writer.count(), u64::try_from(model.ids.len()).unwrap());
        }
    }
}
