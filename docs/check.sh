#!/bin/sh
# sh ../check.sh ROOTS.pem [FILE...]  where the bundle is unpacked; see verify-by-hand.md. ROOTS.pem: time-stamping roots YOU believe. FILE: carriers to look for. Needs POSIX sh, openssl.
use() { echo "usage, where the bundle is unpacked: sh ../check.sh ROOTS.pem [FILE...]; $1" >&2; exit 2; }; command -v openssl > /dev/null || use "needs openssl"
[ -f SHA256SUMS ] || use "there is no SHA256SUMS here"; [ -f "${1-}" ] && grep -q 'BEGIN .*CERTIFICATE' "$1" || use "ROOTS.pem: certificates in PEM"
set -eu; echo "What each line shows: verify-by-hand.md"; roots=$1; shift; w=$(mktemp -d); trap 'rm -rf "$w"' EXIT; same() { if [ "$1" = "$2" ]; then shift 2; ok "$@"; else shift 2; no "$@"; fi; }
ok() { printf 'ok   %s\n' "$*" | tr -d '\0-\11\13-\37'; }; no() { printf 'NO   %s\n' "$*" | tr -d '\0-\11\13-\37'; : > "$w/bad"; }
sha() { openssl dgst -sha256 -binary "$@"; }; hex() { od -An -v -tx1 | tr -d ' \n'; }; say() { tr -d '\0-\37' | cut -c26-165; }
b64() { s=$(tr '_-' '/+' | tr -d =); while [ $((${#s} % 4)) != 0 ]; do s=$s=; done; printf %s "$s" | openssl base64 -d -A; }; member() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\).*/\1/p" "$2"; }
signed() { # ALGORITHM: whether $w/sig is a signature over $w/text by the raw public key in $w/raw
  if [ "$1" = Ed25519 ]; then { printf '\60\52\60\5\6\3\53\145\160\3\41\0'; cat "$w/raw"; } > "$w/key" # RFC 8410
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$w/key" -rawin -in "$w/text" -sigfile "$w/sig" > "$w/out" 2>&1
  else { printf '\60\131\60\23\6\7\52\206\110\316\75\2\1\6\10\52\206\110\316\75\3\1\7\3\102\0\4'; cat "$w/raw"; } > "$w/key"
    r=$(head -c 32 "$w/sig" | hex) s=$(tail -c 32 "$w/sig" | hex); printf 'asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' "$r" "$s" > "$w/conf" # two integers, as DER
    openssl asn1parse -genconf "$w/conf" -noout -out "$w/der" > "$w/out" 2>&1 && openssl dgst -sha256 -verify "$w/key" -keyform DER -signature "$w/der" "$w/text" > "$w/out" 2>&1; fi; }
root() { # INDEX SIZE: from the leaf's bytes in $w/leaf up the base64 hashes in $w/path, RFC 9162 2.1.3.2
  i=$1 n=$(($2 - 1)); [ "$i" -le "$n" ] || { echo beyond; return; }; { printf '\0'; cat "$w/leaf"; } | sha > "$w/r"
  while read -r hash; do printf %s "$hash" | b64 > "$w/h"; [ "$n" -gt 0 ] || { echo too long; return; }
    if [ $((i & 1)) = 1 ] || [ "$i" = "$n" ]; then { printf '\1'; cat "$w/h" "$w/r"; } | sha > "$w/up"
      while [ $((i & 1)) = 0 ] && [ "$i" -gt 0 ]; do i=$((i >> 1)) n=$((n >> 1)); done; else { printf '\1'; cat "$w/r" "$w/h"; } | sha > "$w/up"; fi
    mv "$w/up" "$w/r"; i=$((i >> 1)) n=$((n >> 1)); done < "$w/path"; if [ "$n" = 0 ]; then hex < "$w/r"; else echo too short; fi; }
seconds() { y=$4 m=$(($(expr JanFebMarAprMayJunJulAugSepOctNovDec : ".*$1") / 3)); set -- "$2" $(echo "${3%.*}" | tr : ' ') # Nov 22 18:03:35.7 2026 GMT: as seconds of Unix
  [ "$m" -gt 2 ] || { y=$((y - 1)); m=$((m + 12)); }; d=$((365 * y + y / 4 - y / 100 + y / 400 + (153 * m - 457) / 5)); echo $(((d + $1 - 719469) * 86400 + ${2#0} * 3600 + ${3#0} * 60 + ${4#0})); }
said() { openssl ts -reply -in "$@" -text > "$w/ts" 2> "$w/out" || :; at=$(sed -n 's/^Time stamp: //p' "$w/ts"); } # what a stamp says
holds() { openssl ts -verify -CAfile "$roots" -untrusted "$w/pem" -attime "$(seconds ${at:-Jan 1 00:00:00 1970})" -in "$@" > "$w/out" 2>&1; }
while IFS= read -r line; do f=${line#*  }; same "$(sha "$f" | hex)" "${line%%  *}" "$f: as SHA256SUMS says"; case $f in carriers/*|excerpts/*) set -- "$@" "$f";; esac; done < SHA256SUMS
{ cut -d ' ' -f 3- SHA256SUMS; echo SHA256SUMS; } | LC_ALL=C sort > "$w/listed"; find . ! -type d | cut -c 3- | LC_ALL=C sort | LC_ALL=C comm -13 "$w/listed" - | while IFS= read -r f
  do case ${f##*/}/$f in .*|"$f/$f") echo "??   $f: not in SHA256SUMS, so no part of the bundle";; *) no "$f: not in SHA256SUMS";; esac; done
cat material/*.pem > "$w/pem"; cut -d+ -f3- material/ledger.vkey | while read -r k; do echo "$k" | b64 | tail -c +2; done > "$w/keys"
for c in checkpoints/*; do [ "$c" = "${c%.cosignatures}" ] || continue; head -n 3 "$c" > "$w/text"; name=$(head -n 1 "$c") seen=0; sed -n '5s/.* //p' "$c" | b64 | tail -c +5 > "$w/sig"; head -c 32 "$w/keys" > "$w/raw"
  signed Ed25519 && ok "$c: signed by the first key in material/ledger.vkey" || no "$c: signature"
  [ "${name#tallystick/}" = "$name" ] || same "${name#*/}" "$(sha "$w/keys" | hex)" "$c: the ledger's name is the hash of its keys"
  for t in stamps/"${c#*/}"/*.tsr; do [ -e "$t" ] || continue; said "$t"; holds "$t" -data "$c" && seen=1 && ok "$t: $c existed at $at" \
    || echo "??   $t: not over $c, or by no root of yours"; done; [ $seen = 1 ] || no "$c: no time stamp that leads to a root of yours"; done
for t in stamps/not-before/*.tst; do [ -e "$t" ] || continue; said "$t" -token_in; same "stamps/not-before/$(sha "$t" | hex).tst" "$t" "$t: its name is its SHA-256"
  holds "$t" -token_in -digest "$(sed -n 's/^ *00[0-9a-f]0 - //p' "$w/ts" | cut -c 1-47 | tr -d ' \n-')" && ok "$t: made at $at" || echo "??   $t: forged, or by no root of yours"; done
for r in records/*.sd-jwt; do e=${r#*/} e=${e%.*}; tr '~' '\n' < "$r" > "$w/all"; sed '1d;/^$/d' "$w/all" > "$w/open"
  head -n 1 "$w/all" | tr -d '\n' > "$w/J"; { sha "$w/J"; openssl dgst -sm3 -binary "$w/J"; } > "$w/entry"
  same "$(head -c 8 "$w/entry" | hex)" "$e" "$r: entry $(hex < "$w/entry")"; cut -d. -f1,2 "$w/J" | tr -d '\n' > "$w/text"
  cut -d. -f1 "$w/J" | b64 > "$w/head"; cut -d. -f3 "$w/J" | b64 > "$w/sig"; for n in x y; do member $n "$w/head" | b64; done > "$w/raw"
  signed "$(member alg "$w/head")" && ok "$r: signed by the key in it" || no "$r: signature"
  while read -r d; do echo "$d" | b64; echo; done < "$w/open" > "$w/says" # what each disclosure says, and where its digest may stand:
  { cut -d. -f2 "$w/J" | b64; echo; grep '^\["[^"]*", *"carrier", *{"_sd"' "$w/says" || :; } > "$w/digests"
  while read -r d; do id=$(printf %s "$d" | sha | openssl base64 -A | tr '/+' '_-' | tr -d =) says=$(echo "$d" | b64 | say)
    grep -qF "\"$id\"" "$w/digests" && ok "$r: says $says" || no "$r: does not say $says"; done < "$w/open"
  for t in stamps/not-before/*.tst; do h=${t##*/}; ! grep '^\["[^"]*", *"not_before",' "$w/says" | grep -qF "\"${h%.*}\"" || ok "$r: signed after $t, which it names"; done
  for p in proofs/"$e"-*.tlog-proof; do size=${p%.*} size=${size##*-} at=$(sed -n 's/^index //p' "$p"); cp "$w/entry" "$w/leaf"
    sed -n '/^index /,/^$/p' "$p" | sed '1d;$d' > "$w/path"; same "$(root "$at" "$size")" "$(sed -n 3p "checkpoints/$size" | b64 | hex)" \
      "$p: entry $at (from 0) of $size is under the root in checkpoints/$size"; done
  for claim in manifest parts; do l=manifests/$e.lines; [ $claim = manifest ] || l=parts/$e.lines; : > "$w/lines"; [ -e "$l" ] || continue
    grep "^\[\"[^\"]*\", *\"$claim\", *{" "$w/says" > "$w/of" || :; sed 1d "$l" > "$w/list"
    while read -r at line path; do printf %s "$line" | tee "$w/leaf" | b64 > "$w/line"; { cat "$w/line"; echo; } >> "$w/lines"
      echo "${path#-}" | tr , '\n' | sed '/^$/d' > "$w/path"; says=$(say < "$w/line")
      same "$(root "$at" "$(member count "$w/of")")" "$(member root "$w/of")" "$r: $claim $((at + 1)): $says"; done < "$w/list"
    for f in excerpts/"$e"/*; do [ $claim = parts ] && [ -e "$f" ] || continue; at=${f##*/} at=${at%-*} from=1; echo "\"sha256\":\"$(sha "$f" | hex)\"" >> "$w/says"
      while [ "$from" -le "$(wc -c < "$f")" ]; do grep ", *$((at - 1)), *{" "$w/lines" > "$w/line"; size=$(member size "$w/line")
        same "$(tail -c "+$from" "$f" | head -c "$size" | sha | hex)" "$(member sha256 "$w/line")" "$f: part $at"; at=$((at + 1)) from=$((from + size)); done; done
    cat "$w/lines" >> "$w/says"; done; mv "$w/says" "$w/$e.says"; done
for f in "$@"; do seen=0 id=$(sha "$f" | hex); for r in records/*.sd-jwt; do e=${r#*/} e=${e%.*}; case $f in carriers/"$e"/*|excerpts/"$e"/*) ;; carriers/*|excerpts/*) continue;; esac
  ! grep -q "\"sha256\" *[:,] *\"${id:-none}\"" "$w/$e.says" || { seen=1; ok "$f: is what $r says"; }; done; [ $seen = 1 ] || no "$f: no record shown here names its SHA-256"; done
[ ! -e "$w/bad" ] || { echo "Something is wrong: see NO."; exit 1; }; echo "Nothing is wrong but what ?? may mark."
