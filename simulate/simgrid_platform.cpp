#include "simulate/simgrid_platform.h"

#include <fmt/format.h>

namespace gpumonth::simulate {
namespace {

namespace sg4 = simgrid::s4u;
using Route = std::vector<sg4::LinkInRoute>;

Route up(sg4::SplitDuplexLink* link) { return {sg4::LinkInRoute(link, sg4::LinkInRoute::Direction::UP)}; }

sg4::SplitDuplexLink* full_duplex(sg4::NetZone* zone, const std::string& name, double bytes_per_s) {
  auto* link = zone->create_split_duplex_link(name, bytes_per_s);
  link->seal();
  return link;
}

/// Leaf switches, hosts added in any order.
class Leaves {
 public:
  Leaves(const Cluster& cluster, int count) : cluster_(cluster), root_(sg4::create_star_zone("cluster")) {
    const double uplink = cluster.hosts_per_leaf.value * cluster.between.bytes_per_s() / cluster.oversubscription.value;
    for (int l = 0; l < count; ++l) {
      auto* zone = sg4::create_star_zone(fmt::format("leaf-{}", l));
      zone->set_parent(root_);
      auto* gateway = zone->create_router(fmt::format("switch-{}", l));
      auto* link = full_duplex(root_, fmt::format("uplink-{}", l), uplink);
      leaves_.push_back({zone, gateway, link});
    }
  }

  sg4::Host* add_host(int number, std::size_t leaf) {
    sg4::NetZone* zone = leaves_[leaf].zone;
    auto* host = zone->create_host(fmt::format("host-{}", number), 1.0);  // nothing is computed: ranks wait
    host->seal();
    auto* link = full_duplex(zone, fmt::format("between-{}", number), cluster_.between.bytes_per_s());
    zone->add_route(host->get_netpoint(), nullptr, nullptr, nullptr, up(link), true);
    return host;
  }

  void seal() {
    for (const Leaf& leaf : leaves_) {
      leaf.zone->seal();
      root_->add_route(leaf.zone->get_netpoint(), nullptr, leaf.gateway, nullptr, up(leaf.uplink), true);
    }
    root_->seal();
  }

 private:
  struct Leaf {
    sg4::NetZone* zone;
    simgrid::kernel::routing::NetPoint* gateway;
    sg4::SplitDuplexLink* uplink;
  };
  const Cluster& cluster_;
  sg4::NetZone* root_;
  std::vector<Leaf> leaves_;
};

}  // namespace

std::vector<sg4::Host*> make_platform(const Cluster& cluster, const Shape& shape) {
  const int below_leaf = static_cast<int>(cluster.hosts_per_leaf.value);
  const int count = (shape.hosts + below_leaf - 1) / below_leaf;
  Leaves leaves(cluster, count);
  std::vector<sg4::Host*> hosts;
  for (int h = 0; h < shape.hosts; ++h)
    hosts.push_back(leaves.add_host(
        h, static_cast<std::size_t>(cluster.placement == Placement::packed ? h / below_leaf : h % count)));
  leaves.seal();
  return hosts;
}

}  // namespace gpumonth::simulate
