# For sourcing, by bash.
#   has_column LOG NAME: whether there is a /steps/NAME
has_column() { h5ls "$1/steps" | grep -q "^$2 "; }
#   steps_column LOG NAME: the values of /steps/NAME, a line each
steps_column() { h5dump -y -w 100000 -m %.9g -d "/steps/$2" "$1" | sed -n '/DATA {/,/}/{/DATA {/d;/}/d;p}' | tr -d ' \n' | tr ',' '\n'; }
