// The default main; a test that brings its own leaves this object in the archive.
#include "tests/catch.h"

int main(int argc, char** argv) { return gpumonth::tests::run_catch(argc, argv); }
