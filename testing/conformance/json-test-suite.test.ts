/** JSONTestSuite through the one reader of hashed JSON: names begin with y (is JSON), n (is not), i (may be). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { parseCanonical } from '../../src/core/canonical.ts';
import { codeOf } from '../support/core-assert.ts';

type SuiteCase = { readonly name: string } & (
  | { readonly input: string }
  | { readonly repeat: string; readonly times: number; readonly end: string }
);

const path = new URL('vectors/json-test-suite.json', import.meta.url);
const cases: readonly SuiteCase[] = JSON.parse(readFileSync(path, 'utf8'));

function bytesOf(each: SuiteCase): Uint8Array {
  if ('input' in each) return encodeUtf8(each.input);
  return encodeUtf8(each.repeat.repeat(each.times) + each.end);
}

/** The code of the refusal, or `accepted`. Anything that is no refusal is a crash and fails the test. */
function verdicts(kind: 'y' | 'n' | 'i'): Map<string, string> {
  return new Map(
    cases
      .filter(({ name }) => name.startsWith(`${kind}_`))
      .map((each) => [each.name, codeOf(() => parseCanonical(bytesOf(each))) ?? 'accepted']),
  );
}

function tally(of: Map<string, string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const code of of.values()) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

test('nothing that is not JSON is accepted, and nothing crashes', () => {
  assert.deepEqual(tally(verdicts('n')), { malformed: 174, too_deep: 2 });
});

/** JSON, but another spelling of its value than the canonical one. Refused by design. */
const NOT_CANONICAL = `
  array_arraysWithSpaces array_heterogeneous array_with_1_and_newline array_with_leading_space
  array_with_trailing_space number number_0e+1 number_0e1 number_after_space
  number_double_close_to_zero number_int_with_exp number_minus_zero number_negative_zero
  number_real_capital_e number_real_capital_e_neg_exp number_real_capital_e_pos_exp
  number_real_exponent number_real_fraction_exponent number_real_neg_exp number_real_pos_exponent
  object object_duplicated_key object_duplicated_key_and_value object_escaped_null_in_key
  object_extreme_numbers object_long_strings object_string_unicode object_with_newlines
  string_1_2_3_bytes_UTF-8_sequences string_accepted_surrogate_pair
  string_accepted_surrogate_pairs string_allowed_escapes string_escaped_noncharacter
  string_in_array_with_leading_space string_last_surrogates_1_and_2 string_nbsp_uescaped
  string_one-byte-utf-8 string_surrogates_U+1D11E_MUSICAL_SYMBOL_G_CLEF string_three-byte-utf-8
  string_two-byte-utf-8 string_uEscape string_uescaped_newline string_unicode
  string_unicodeEscapedBackslash string_unicode_U+10FFFE_nonchar string_unicode_U+1FFFE_nonchar
  string_unicode_U+200B_ZERO_WIDTH_SPACE string_unicode_U+2064_invisible_plus
  string_unicode_U+FDD0_nonchar string_unicode_U+FFFE_nonchar string_unicode_escaped_double_quote
  structure_trailing_newline structure_whitespace_array
`
  .trim()
  .split(/\s+/)
  .map((name) => `y_${name}`);

test('what is JSON is accepted when it is canonical and refused by name when it is not', () => {
  const codes = verdicts('y');
  assert.deepEqual(tally(codes), { accepted: 42, not_canonical: 53 });
  const refused = [...codes].filter(([, code]) => code === 'not_canonical').map(([name]) => name);
  assert.deepEqual(refused, NOT_CANONICAL);
});

test('where the suite leaves the choice, only canonical text within the limits is accepted', () => {
  const codes = verdicts('i');
  const accepted = [...codes].filter(([, code]) => code === 'accepted').map(([name]) => name);
  assert.deepEqual(accepted, []);
  assert.equal(codes.get('i_structure_500_nested_arrays'), 'too_deep');
  assert.equal(codes.get('i_number_too_big_pos_int'), 'invalid_payload');
  assert.equal(codes.get('i_structure_UTF-8_BOM_empty_object'), 'malformed');
});
