# For sourcing, by bash: a function for awk programs, awk "$awk_median"'...'.
#   median(v, n): of v[1] ... v[n], which it sorts
# shellcheck disable=SC2034  # for those that source it
awk_median='function median(v, n,   i, j, s) {
  for (i = 1; i <= n; ++i) for (j = i + 1; j <= n; ++j) if (v[j] < v[i]) {s = v[i]; v[i] = v[j]; v[j] = s}
  return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
'
