// ncclSend and ncclRecv of one group: each advances as its peer does, a chunk at a time through the sender's slot. A
// message is over for the sender when the receiver has taken all of it, so that neither ends without the other.
#include <algorithm>
#include <cstring>
#include <list>

#include "tests/emulator/nccl_channel.h"

namespace gpumonth::emulator {

struct Channel::Message {
  Collective call;
  Mail* mail;
  std::byte* slot;
  std::size_t bytes, chunk;           ///< of all of it, and of what goes through the slot at a time
  std::uint64_t chunks;               ///< at least 1: an empty message is one too
  std::uint64_t done = 0, first = 0;  ///< chunks of this message; where the mail's count was when it began
  bool begun = false;
};

/// As far as its peer lets it. True where that is over, and where it is refused.
bool Channel::advance(Message& m) {
  if (!m.begun) {
    m.first = m.call.call.kind == kSend ? m.mail->posted : m.mail->taken;
    m.begun = true;
  }
  const bool sends = m.call.call.kind == kSend;
  if (m.mail->refused) return true;
  for (;;) {
    const std::uint64_t posted = m.mail->posted - m.first, taken = m.mail->taken - m.first;
    if (m.done == m.chunks) return !sends || taken == m.chunks;
    const std::size_t at = m.done * m.chunk, count = std::min(m.chunk, m.bytes - at);
    if (sends) {
      if (taken < m.done) return false;  // the chunk before is still in the slot
      if (m.done == 0) m.mail->call = m.call.call;
      std::memcpy(m.slot, static_cast<const std::byte*>(m.call.send) + at, count);
      ++m.mail->posted;
    } else {
      if (posted <= m.done) return false;
      const Call &theirs = m.mail->call, &mine = m.call.call;
      if (theirs.type != mine.type || theirs.count != mine.count || theirs.captured != mine.captured) {
        m.mail->refused = true;
        return true;
      }
      std::memcpy(static_cast<std::byte*>(m.call.receive) + at, m.slot, count);
      ++m.mail->taken;
    }
    ++m.done;
  }
}

bool Channel::exchange(const std::vector<Collective>& calls) {
  std::list<Message> open;  // by peer and direction the first one alone may advance
  for (const Collective& c : calls) {
    if (!c.is_message()) continue;
    const int from = c.call.kind == kSend ? rank : c.call.root, to = c.call.kind == kSend ? c.call.root : rank;
    const std::size_t bytes = c.call.count * bytes_of(c.call.type), chunk = meeting.mail_bytes();
    open.push_back({c, &meeting.seat(from).mail[to], meeting.mail_slot(from, to), bytes, chunk,
                    std::max<std::uint64_t>(1, (bytes + chunk - 1) / chunk)});
  }
  while (!open.empty()) {
    std::vector<int> peers;
    for (const Message& m : open) peers.push_back(m.call.call.root);
    const auto some_are_done = [&] {
      bool any = false;
      for (auto m = open.begin(); m != open.end();) {
        const bool is_first = std::none_of(open.begin(), m, [&](const Message& before) {
          return before.call.call.kind == m->call.call.kind && before.call.call.root == m->call.call.root;
        });
        const bool is_done = is_first && advance(*m);
        if (is_done && m->mail->refused) {
          fail(ncclInvalidUsage, "a message is received as another than it was sent: " + describe(m->mail->call));
          open.clear();
          return true;
        }
        any |= is_done;
        m = is_done ? open.erase(m) : std::next(m);
      }
      return any;
    };
    const Meeting::Outcome outcome = meeting.wait_for(some_are_done, peers, aborted);
    if (outcome == Meeting::Outcome::peer_lost) fail(ncclRemoteError, meeting.lost_peer());
    if (outcome != Meeting::Outcome::all_here || error != ncclSuccess) return false;
  }
  return true;
}

}  // namespace gpumonth::emulator
