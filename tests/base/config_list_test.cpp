// Lists of tables: entries declared once like every table, named by their id, and one line for every mistake.
#include "base/config.h"
#include "base/error.h"
#include "tests/catch.h"

using namespace gpumonth;
using Strings = std::vector<std::string>;

namespace {

struct Ship {
  std::string id, name;
  double speed = 5;
  int masts = 3;
};

struct Fleet {
  std::string harbour;
  std::deque<Ship> ships;

  config::Table declare() {
    config::Table root;
    root.table("home").field("harbour", harbour);
    root.table("home").moved("*_speed", "speed in the ship's [[ships]]");
    root.list("ships", ships,
              [](config::Table& table, Ship& ship) {
                table.field("id", ship.id);
                table.field("name", ship.name, {.help = "what it is called"});
                table.field("speed", ship.speed, {.unit = "kn", .min = 0, .max = 40, .help = "in calm water"});
                table.table("rig").field("masts", ship.masts, {.min = 1});
              },
              {.help = "what sails", .formerly = "flag stands in [home]"});
    return root;
  }
};

constexpr const char* kTwo = R"([[ships]]
id = "a-1"
name = "Anna"
rig.masts = 2
[[ships]]
id = "b_2"
speed = 9
)";

Fleet read(const std::string& text, const Strings& overrides = {}) {
  Fleet fleet;
  auto root = fleet.declare();
  config::load_text(root, text, "f.toml", overrides);
  return fleet;
}

std::string error_of(const std::string& text, const Strings& overrides = {}) {
  try {
    read(text, overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("entries come in the file's order, each with its own defaults") {
  const auto fleet = read(kTwo);
  REQUIRE(fleet.ships.size() == 2);
  CHECK(fleet.ships[0].name == "Anna");
  CHECK(fleet.ships[0].speed == 5);
  CHECK(fleet.ships[0].masts == 2);
  CHECK(fleet.ships[1].speed == 9);
  CHECK(fleet.ships[1].masts == 3);
  CHECK(read("").ships.empty());
  CHECK(read("ships = []\n").ships.empty());
  CHECK(read("ships = [{id = \"x\", speed = 1}]\n").ships.front().speed == 1);
}

TEST_CASE("--set names an entry by its id") {
  const auto fleet = read(kTwo, {"ships.b_2.speed=12", "ships.a-1.rig.masts=4"});
  CHECK(fleet.ships[1].speed == 12);
  CHECK(fleet.ships[0].masts == 4);
  CHECK(error_of(kTwo, {"ships.b_3.speed=1"}) ==
        "--set ships.b_3.speed=1: [[ships]] has no entry 'b_3' (did you mean 'b_2'?); flag stands in [home]");
  CHECK(error_of("", {"ships.a.speed=1"}) ==
        "--set ships.a.speed=1: [[ships]] has no entry 'a' (it is empty); flag stands in [home]");
  CHECK(error_of(kTwo, {"ships.b_2.sped=1"}) ==
        "--set ships.b_2.sped=1: unknown key 'ships.b_2.sped' (did you mean 'ships.b_2.speed'?)");
  CHECK(error_of(kTwo, {"ships.b_2.speed=50"}) ==
        "--set ships.b_2.speed=50: 'ships.b_2.speed' = 50 kn is too large: at most 40 kn");
  CHECK(error_of(kTwo, {"ships.b_2=1"}) ==
        "--set ships.b_2=1: 'ships.b_2' is an entry of a list: name a key in it, ships.b_2.key=value with one of id, "
        "name, speed, rig");
  CHECK(error_of(kTwo, {"ships=1"}) ==
        "--set ships=1: 'ships' is a list: name a key of one of its entries, ships.ID.key=value");
  CHECK(error_of(kTwo, {"ships.b_2.from=x.toml"}) ==
        "--set ships.b_2.from=x.toml: entries of [[ships]] take no 'from'");
  CHECK(error_of(kTwo, {"ships.b_2.id=a-1"}) ==
        "--set ships.b_2.id=a-1: 'ships.b_2.id' names the entry, and stays as the file has it");
}

TEST_CASE("a mistake in an entry names line, entry and the nearest key") {
  CHECK(error_of("[[ships]]\nid = \"a\"\n[[ships]]\nid = \"b\"\nsped = 3\n") ==
        "f.toml:5: unknown key 'ships.b.sped' (did you mean 'ships.b.speed'?)");
  CHECK(error_of("[[ships]]\nid = \"a\"\nspeed = -1\n") ==
        "f.toml:3: 'ships.a.speed' = -1 kn is too small: at least 0 kn");
  CHECK(error_of("[[ships]]\nid = \"a\"\nspeed = \"fast\"\n") ==
        "f.toml:3: 'ships.a.speed' expects a number (kn), got a string \"fast\"");
  CHECK(error_of("[[ships]]\nid = \"a\"\nrig.mats = 1\n") ==
        "f.toml:3: unknown key 'ships.a.rig.mats' (did you mean 'ships.a.rig.masts'?)");
  CHECK(error_of("[[ships]]\nid = \"a\"\nfrom = \"x.toml\"\n").starts_with("f.toml:3: unknown key 'ships.a.from'"));
  CHECK(error_of("[[ships]]\nspeed = 1\n") == "f.toml:1: an entry of [[ships]] has no 'id': add id = \"...\"");
  for (const char* id : {"\"a b\"", "\"\"", "\"a.b\"", "3"})
    CHECK(error_of(fmt::format("[[ships]]\nid = {}\n", id)) ==
          "f.toml:1: 'id' of an entry of [[ships]] expects a string of letters, digits, - and _");
  CHECK(error_of("[[ships]]\nid = \"a\"\n[[ships]]\nid = \"a\"\n") == "f.toml:3: [[ships]] has an entry 'a' already");
}

TEST_CASE("a table in the list's place, a wrong name, and keys that have moved") {
  const std::string list =
      "'ships' is a list: write [[ships]] and its keys (id, name, speed, rig) below, once for each; flag stands in "
      "[home]";
  for (const char* text : {"[ships]\nflag = 1\n", "ships = 3\n", "ships = [1]\n"})
    CHECK(error_of(text) == "f.toml:1: " + list);
  CHECK(error_of("[[shipps]]\nid = \"a\"\n") == "f.toml:1: unknown key 'shipps' (did you mean 'ships'?)");
  CHECK(error_of("[home]\nspeed = 1\n") == "f.toml:2: unknown key 'home.speed' (did you mean 'ships.speed'?)");
  CHECK(error_of("[home]\nanna_speed = 1\n") ==
        "f.toml:2: unknown key 'home.anna_speed': write speed in the ship's [[ships]] instead");
}

TEST_CASE("a list is written as it is read, and help shows an entry") {
  Fleet fleet, copy;
  auto root = fleet.declare(), again = copy.declare();
  config::load_text(root, kTwo, "f.toml");
  config::load_text(again, config::to_toml(root, true), "resolved");
  REQUIRE(copy.ships.size() == 2);
  CHECK(copy.ships[0].masts == 2);
  CHECK(copy.ships[1].speed == 9);
  CHECK(config::values(root).at("ships.b_2.speed") == "9.0");
  Fleet none;
  const std::string help = config::help_text(none.declare());
  CHECK_THAT(help, tests::contains("[[ships]] # what sails\n") && tests::contains("# kn, 0 .. 40: in calm water"));
}
