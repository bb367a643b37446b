#include "common/core/outbox.h"

namespace holdfast {

void Outbox::clear() {
  control_ = interactive_ = opens_ = acks_ = bulk_ = {};
  later_acks_.clear();
  ack_deadline_ = kNever;
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    StreamRecord& record = streams_[slot];
    record.control = record.ack = record.data = {};
    record.control_list = ControlList::none;
    record.ack_state = AckState::none;
    record.data_list = DataList::none;
  }
}

void Outbox::add_open(SlotIndex slot) {
  HOLDFAST_CHECK(streams_[slot].control_list == ControlList::none);
  streams_[slot].control_list = ControlList::opens;
  streams_.push_back<&StreamRecord::control>(opens_, slot);
}

void Outbox::remove_open(SlotIndex slot) {
  if (streams_[slot].control_list != ControlList::opens) return;
  streams_[slot].control_list = ControlList::none;
  streams_.erase<&StreamRecord::control>(opens_, slot);
}

void Outbox::add_control(SlotIndex slot) {
  if (streams_[slot].control_list == ControlList::control) return;
  HOLDFAST_CHECK(streams_[slot].control_list == ControlList::none);
  streams_[slot].control_list = ControlList::control;
  streams_.push_back<&StreamRecord::control>(control_, slot);
}

void Outbox::remove_control(SlotIndex slot) {
  if (streams_[slot].control_list != ControlList::control) return;
  streams_[slot].control_list = ControlList::none;
  streams_.erase<&StreamRecord::control>(control_, slot);
}

void Outbox::add_ack(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.ack_state == AckState::now) return;
  record.ack_state = AckState::now;
  streams_.push_back<&StreamRecord::ack>(acks_, slot);
}

void Outbox::add_later_ack(SlotIndex slot, Time by) {
  StreamRecord& record = streams_[slot];
  if (record.ack_state != AckState::none) return;
  record.ack_state = AckState::later;
  later_acks_.push_back(slot);
  if (ack_deadline_ == kNever) ack_deadline_ = by;
}

void Outbox::remove_ack(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.ack_state == AckState::now) streams_.erase<&StreamRecord::ack>(acks_, slot);
  record.ack_state = AckState::none;
}

void Outbox::acks_due() {
  ack_deadline_ = kNever;
  for (SlotIndex slot : later_acks_) {
    const StreamRecord* record = streams_.used(slot);
    if (record != nullptr && record->ack_state == AckState::later) add_ack(slot);
  }
  later_acks_.clear();
}

void Outbox::add_data(SlotIndex slot, DataList list) {
  StreamRecord& record = streams_[slot];
  HOLDFAST_CHECK(record.data_list == DataList::none && list != DataList::none);
  record.data_list = list;
  streams_.push_back<&StreamRecord::data>(data(list), slot);
}

void Outbox::remove_data(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.data_list == DataList::none) return;
  streams_.erase<&StreamRecord::data>(data(record.data_list), slot);
  record.data_list = DataList::none;
}

void Outbox::remove(SlotIndex slot) {
  remove_open(slot);
  remove_control(slot);
  remove_ack(slot);
  remove_data(slot);
}

template <ListLinks StreamRecord::*member>
std::size_t Outbox::count(const SlotList& list) const {
  std::size_t count = 0;
  SlotIndex last = kNoSlot;
  for (SlotIndex slot = list.first; slot != kNoSlot; slot = (streams_[slot].*member).next) {
    HOLDFAST_CHECK(streams_[slot].id != 0);
    HOLDFAST_CHECK((streams_[slot].*member).previous == last);
    last = slot;
    count += 1;
  }
  HOLDFAST_CHECK(list.last == last);
  return count;
}

void Outbox::check() const {
  std::size_t opens = 0, control = 0, acks = 0, interactive = 0, bulk = 0;
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    const StreamRecord& record = streams_[slot];
    opens += record.control_list == ControlList::opens ? 1 : 0;
    control += record.control_list == ControlList::control ? 1 : 0;
    acks += record.ack_state == AckState::now ? 1 : 0;
    interactive += record.data_list == DataList::interactive ? 1 : 0;
    bulk += record.data_list == DataList::bulk ? 1 : 0;
  }
  HOLDFAST_CHECK(count<&StreamRecord::control>(opens_) == opens);
  HOLDFAST_CHECK(count<&StreamRecord::control>(control_) == control);
  HOLDFAST_CHECK(count<&StreamRecord::ack>(acks_) == acks);
  HOLDFAST_CHECK(count<&StreamRecord::data>(interactive_) == interactive);
  HOLDFAST_CHECK(count<&StreamRecord::data>(bulk_) == bulk);
}

}  // namespace holdfast
