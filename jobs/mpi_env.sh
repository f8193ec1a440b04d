# For sourcing, by bash: what Open MPI needs to be told on any machine. Sets mpi_options for mpirun.

# Containers often have no user but root; Open MPI wants to hear that this is meant.
if [[ $(id -u) == 0 ]]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# Containers often forbid reading another process's memory; without this Open MPI warns on each start.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# Ranks start threads: each may use every core it finds free. One rank per core is allowed, more on fewer cores too.
mpi_options=(--bind-to none --oversubscribe)
