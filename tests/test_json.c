/* The strict JSON scanner, and the reading of objects by members. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/json.h"
#include "model/json_object.h"
#include "support/check.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A text with its length, so that it may hold zeros. */
#define TEXT(literal) (literal), sizeof(literal) - 1

/* Scans a copy that ends where the text does, for the sanitizers to see reads past it. */
static enum json_kind scan(const char *text, size_t length, const char **reason, size_t *offset) {
  char *copy = malloc(length + 1);
  enum json_kind kind;

  assert_non_null(copy);
  memmove(copy + 1, text, length);
  kind = json_scan(copy + 1, length, reason, offset);
  free(copy);
  return kind;
}

static const struct {
  const char *text;
  size_t length;
  enum json_kind kind;
} valid[] = {
    {TEXT("{}"), JSON_OBJECT},
    {TEXT("[]"), JSON_ARRAY},
    {TEXT("\"\""), JSON_STRING},
    {TEXT("0"), JSON_NUMBER},
    {TEXT("true"), JSON_TRUE},
    {TEXT("false"), JSON_FALSE},
    {TEXT("null"), JSON_NULL},
    {TEXT(" \t\r\n{ \"a\" :\t[ 1 , 2 ]\n}\r\n "), JSON_OBJECT},
    {TEXT("{\"\":0}"), JSON_OBJECT},
    {TEXT("{\"a\":1,\"a\":2}"), JSON_OBJECT},
    {TEXT("{\"a\":{\"b\":{\"c\":[{},[],{}]}},\"d\":[[[]]]}"), JSON_OBJECT},
    {TEXT("[[],[[]],{}]"), JSON_ARRAY},
    {TEXT("[null, 1, \"1\", {}]"), JSON_ARRAY},
    {TEXT("[true]"), JSON_ARRAY},
    {TEXT("-0"), JSON_NUMBER},
    {TEXT("-1"), JSON_NUMBER},
    {TEXT("10"), JSON_NUMBER},
    {TEXT("123456789012345678901234567890"), JSON_NUMBER},
    {TEXT("0.5"), JSON_NUMBER},
    {TEXT("-0.0e-0"), JSON_NUMBER},
    {TEXT("1E22"), JSON_NUMBER},
    {TEXT("1e+2"), JSON_NUMBER},
    {TEXT("1.5e-10"), JSON_NUMBER},
    {TEXT("0e0"), JSON_NUMBER},
    {TEXT("1e400000"), JSON_NUMBER},
    {TEXT("[0,-0,1e1]"), JSON_ARRAY},
    {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), JSON_STRING},
    {TEXT("\"\\u0001\\u00e9\\uABCD\\uabcd\\uFFFF\""), JSON_STRING},
    {TEXT("\"\\ud83d\\ude00\""), JSON_STRING},
    {TEXT("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), JSON_STRING},
    {TEXT("\"\\ud7ff\\ue000\""), JSON_STRING},
    {TEXT("\"\\\\u0000\""), JSON_STRING},
    {TEXT("\"\\u0000\""), JSON_STRING},
    {TEXT("{\"\\u0000\":[\"x\\u0000\"]}"), JSON_OBJECT},
    {TEXT("\"\\ud800\""), JSON_STRING}, /* an unpaired surrogate */
    {TEXT("\"\\udc00\\ud800\""), JSON_STRING},
    {TEXT("{\"\\ud800\":\"\\ud800\\n\"}"), JSON_OBJECT},
    {TEXT("\"\x7f\""), JSON_STRING},
    {TEXT("\"\xc2\x80\xdf\xbf\""), JSON_STRING},
    {TEXT("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""), JSON_STRING},
    {TEXT("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), JSON_STRING},
    {TEXT("\"\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\""), JSON_STRING},
    {TEXT("\"/* no comment */\""), JSON_STRING},
    {TEXT("{\"a\\u0062\":1}"), JSON_OBJECT},
    {TEXT("{\"\xe6\x97\xa5\xe6\x9c\xac\":\"\xe8\xaa\x9e\"}"), JSON_OBJECT},
};

static const struct {
  const char *text;
  size_t length;
  size_t offset;
  const char *reason;
} invalid[] = {
    /* nothing, or not enough, or too much */
    {TEXT(""), 0, "unexpected end"},
    {TEXT(" "), 1, "unexpected end"},
    {TEXT("["), 1, "unexpected end"},
    {TEXT("{"), 1, "unexpected end"},
    {TEXT("[1"), 2, "unexpected end"},
    {TEXT("[1,"), 3, "unexpected end"},
    {TEXT("{\"a\""), 4, "unexpected end"},
    {TEXT("{\"a\":"), 5, "unexpected end"},
    {TEXT("{\"a\":1"), 6, "unexpected end"},
    {TEXT("{\"a\":1,"), 7, "unexpected end"},
    {TEXT("\""), 1, "unexpected end"},
    {TEXT("\"abc"), 4, "unexpected end"},
    {TEXT("\"abc\\"), 5, "unexpected end"},
    {TEXT("\"abc\\\""), 6, "unexpected end"},
    {TEXT("tru"), 3, "unexpected end"},
    {TEXT("-"), 1, "unexpected end"},
    {TEXT("1."), 2, "unexpected end"},
    {TEXT("1e"), 2, "unexpected end"},
    {TEXT("1e+"), 3, "unexpected end"},
    {TEXT("1 2"), 2, "unexpected character"},
    {TEXT("[]]"), 2, "unexpected character"},
    {TEXT("{}}"), 2, "unexpected character"},
    {TEXT("[][]"), 2, "unexpected character"},
    {TEXT("\"a\"x"), 3, "unexpected character"},
    {TEXT("truefalse"), 4, "unexpected character"},
    {TEXT("1\0"), 1, "unexpected character"},
    {TEXT("\0"), 0, "unexpected character"},
    {TEXT("[1]\0 "), 3, "unexpected character"},
    /* brackets, commas, colons */
    {TEXT("]"), 0, "unexpected character"},
    {TEXT("}"), 0, "unexpected character"},
    {TEXT(","), 0, "unexpected character"},
    {TEXT("[1}"), 2, "unexpected character"},
    {TEXT("{\"a\":1]"), 6, "unexpected character"},
    {TEXT("[{]}"), 2, "unexpected character"},
    {TEXT("[,]"), 1, "unexpected character"},
    {TEXT("[,1]"), 1, "unexpected character"},
    {TEXT("[1,]"), 3, "unexpected character"},
    {TEXT("[1,,2]"), 3, "unexpected character"},
    {TEXT("[1 2]"), 3, "unexpected character"},
    {TEXT("[1:2]"), 2, "unexpected character"},
    {TEXT("{,}"), 1, "unexpected character"},
    {TEXT("{1:1}"), 1, "unexpected character"},
    {TEXT("{a:1}"), 1, "unexpected character"},
    {TEXT("{'a':1}"), 1, "unexpected character"},
    {TEXT("{\"a\"}"), 4, "unexpected character"},
    {TEXT("{\"a\":}"), 5, "unexpected character"},
    {TEXT("{\"a\",1}"), 4, "unexpected character"},
    {TEXT("{\"a\":1,}"), 7, "unexpected character"},
    {TEXT("{\"a\"::1}"), 5, "unexpected character"},
    {TEXT("{\"a\":1 \"b\":2}"), 7, "unexpected character"},
    {TEXT("{\"a\":1,2}"), 7, "unexpected character"},
    {TEXT("{[]:1}"), 1, "unexpected character"},
    {TEXT("{null:1}"), 1, "unexpected character"},
    /* words and other things that are not JSON */
    {TEXT("True"), 0, "unexpected character"},
    {TEXT("nul1"), 3, "unexpected character"},
    {TEXT("fals\xc3\xa9"), 4, "unexpected character"},
    {TEXT("undefined"), 0, "unexpected character"},
    {TEXT("NaN"), 0, "unexpected character"},
    {TEXT("Infinity"), 0, "unexpected character"},
    {TEXT("-Infinity"), 1, "unexpected character"},
    {TEXT("'a'"), 0, "unexpected character"},
    {TEXT("// a\n1"), 0, "unexpected character"},
    {TEXT("1 /* a */"), 2, "unexpected character"},
    {TEXT("\xef\xbb\xbf{}"), 0, "unexpected character"},
    {TEXT("\xc2\xa0"
          "1"),
     0, "unexpected character"},
    {TEXT("\f1"), 0, "unexpected character"},
    {TEXT("\v[]"), 0, "unexpected character"},
    {TEXT("[\f]"), 1, "unexpected character"},
    /* numbers */
    {TEXT("01"), 1, "unexpected character"},
    {TEXT("-01"), 2, "unexpected character"},
    {TEXT("00"), 1, "unexpected character"},
    {TEXT("+1"), 0, "unexpected character"},
    {TEXT("--1"), 1, "unexpected character"},
    {TEXT("- 1"), 1, "unexpected character"},
    {TEXT(".5"), 0, "unexpected character"},
    {TEXT("-.5"), 1, "unexpected character"},
    {TEXT("1.e1"), 2, "unexpected character"},
    {TEXT("[1.]"), 3, "unexpected character"},
    {TEXT("[-]"), 2, "unexpected character"},
    {TEXT("1.5.5"), 3, "unexpected character"},
    {TEXT("1e5.5"), 3, "unexpected character"},
    {TEXT("1ee5"), 2, "unexpected character"},
    {TEXT("1e+-5"), 3, "unexpected character"},
    {TEXT("0x10"), 1, "unexpected character"},
    {TEXT("1_000"), 1, "unexpected character"},
    {TEXT("1a"), 1, "unexpected character"},
    {TEXT("\xef\xbc\x91"), 0, "unexpected character"},
    /* strings */
    {TEXT("\"\x01\""), 1, "control character in a string"},
    {TEXT("\"\x1f\""), 1, "control character in a string"},
    {TEXT("\"\0\""), 1, "control character in a string"},
    {TEXT("\"a\nb\""), 2, "control character in a string"},
    {TEXT("\"12345678\t\""), 9, "control character in a string"},
    {TEXT("{\"a\tb\":1}"), 3, "control character in a string"},
    {TEXT("\"\\a\""), 1, "bad escape"},
    {TEXT("\"\\'\""), 1, "bad escape"},
    {TEXT("\"\\x41\""), 1, "bad escape"},
    {TEXT("\"\\0\""), 1, "bad escape"},
    {TEXT("\"\\\xc3\xa9\""), 1, "bad escape"},
    {TEXT("\"\\U0041\""), 1, "bad escape"},
    {TEXT("\"\\u\""), 1, "bad escape"},
    {TEXT("\"\\u004\""), 1, "bad escape"},
    {TEXT("\"\\u004g\""), 1, "bad escape"},
    {TEXT("\"\\u00"), 1, "bad escape"},
    {TEXT("\"\\u+041\""), 1, "bad escape"},
    {TEXT("\"\\ud800\\udc0\""), 7, "bad escape"},
    {TEXT("\"\\ud800\\u"), 7, "bad escape"},
    {TEXT("\"\\ud800\\x\""), 7, "bad escape"},
    {TEXT("\"\\ud800"), 7, "unexpected end"},
    /* UTF-8 */
    {TEXT("\"\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xbf\""), 1, "invalid UTF-8"},
    {TEXT("\"\xc0\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xc1\xbf\""), 1, "invalid UTF-8"},
    {TEXT("\"\xc3\""), 1, "invalid UTF-8"},
    {TEXT("\"\xc3"), 1, "invalid UTF-8"},
    {TEXT("\"\xc3\xc3\xa9\""), 1, "invalid UTF-8"},
    {TEXT("\"\xe0\x80\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xe0\x9f\xbf\""), 1, "invalid UTF-8"},
    {TEXT("\"\xe2\x82\""), 1, "invalid UTF-8"},
    {TEXT("\"\xe2\x28\xa1\""), 1, "invalid UTF-8"},
    {TEXT("\"\xed\xa0\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xed\xbf\xbf\""), 1, "invalid UTF-8"},
    {TEXT("\"\xf0\x80\x80\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xf0\x8f\xbf\xbf\""), 1, "invalid UTF-8"},
    {TEXT("\"\xf4\x90\x80\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xf5\x80\x80\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xf0\x9f\x98\""), 1, "invalid UTF-8"},
    {TEXT("\"\xf8\x88\x80\x80\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xfe\""), 1, "invalid UTF-8"},
    {TEXT("\"\xff\""), 1, "invalid UTF-8"},
    {TEXT("\"\xc3\xa9\xff\""), 3, "invalid UTF-8"},
    {TEXT("\"0123456789\xe9\""), 11, "invalid UTF-8"},
    {TEXT("[\xff]"), 1, "unexpected character"},
};

static void scan_accepts_what_is_json_and_tells_its_kind(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(valid); i++) {
    enum json_kind kind = scan(valid[i].text, valid[i].length, NULL, NULL);
    expect(kind == valid[i].kind, "%s has kind %d", valid[i].text, (int)kind);
  }
}

static void scan_refuses_what_is_not_and_says_where_and_why(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(invalid); i++) {
    const char *reason = "";
    size_t offset = SIZE_MAX;
    enum json_kind kind = scan(invalid[i].text, invalid[i].length, &reason, &offset);
    expect(kind == JSON_INVALID, "%s was accepted", invalid[i].text);
    expect(offset == invalid[i].offset, "%s: offset %zu", invalid[i].text, offset);
    expect(strncmp(reason, invalid[i].reason, strlen(invalid[i].reason)) == 0, "%s: %s",
           invalid[i].text, reason);
  }
}

static void jsonb_refuses_what_it_cannot_hold(void **state) {
  static const struct {
    const char *text;
    const char *refusal; /* its beginning; NULL where there is none */
  } documents[] = {
      {"{\"a\":[1,\"x\",\"\\n\\u0001\\ud7ff\\ue000\"]}", NULL},
      {"\"\\ud83d\\ude00\\uDBFF\\uDFFF\"", NULL},
      {"\"\\\\u0000\\\\ud800\"", NULL}, /* backslashes that are escaped */
      {"\"\\u0000\"", "\\u0000"},
      {"{\"a\\u0000\":1}", "\\u0000"},
      {"\"\\ud800\"", "an unpaired surrogate"},
      {"\"\\uDC00\"", "an unpaired surrogate"},
      {"\"\\udc00\\ud800\"", "an unpaired surrogate"},
      {"\"\\ud800x\\udc00\"", "an unpaired surrogate"},
      {"\"\\ud800\\ud800\\udc00\"", "an unpaired surrogate"},
      {"\"\\ud800\\u0041\"", "an unpaired surrogate"},
      {"{\"\\ud800\\n\":1}", "an unpaired surrogate"},
      {"[\"\\u0000\",\"\\ud800\"]", "an unpaired surrogate"},
      {"[1e308,5e-324,\"1e999\"]", NULL},
      {"[1e500]", "a number of more than 400 digits"},
      {"[1.5E-500]", "a number of more than 400 digits"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(documents); i++) {
    const char *text = documents[i].text;
    const char *refusal = json_jsonb_refuses(text);
    const char *wanted = documents[i].refusal;
    expect((refusal == NULL) == (wanted == NULL), "%s: %s", text, refusal);
    expect(wanted == NULL || strncmp(refusal, wanted, strlen(wanted)) == 0, "%s: %s", text,
           refusal);
  }
}

static void a_string_is_text_unless_it_has_zero_or_an_unpaired_surrogate(void **state) {
  (void)state;
  assert_true(json_string_is_text(TEXT("\"\"")));
  assert_true(json_string_is_text(TEXT("\"a\\n\\ud83d\\ude00\"")));
  assert_true(json_string_is_text(TEXT("\"\\\\u0000\"")));
  assert_false(json_string_is_text(TEXT("\"a\\u0000\"")));
  assert_false(json_string_is_text(TEXT("\"\\ud83d\"")));
  assert_false(json_string_is_text(TEXT("\"\\ude00\\ud83d\"")));
}

static void scan_needs_nobody_to_ask_for_the_reason(void **state) {
  (void)state;
  assert_int_equal(json_scan(TEXT("[1"), NULL, NULL), JSON_INVALID);
}

/* The string is long enough for every path: words of 32, of 8, and single bytes. */
static void scan_sees_a_bad_byte_wherever_it_is_in_a_long_string(void **state) {
  static const char bad[] = {'\x01', '\x1f', '\0', '"', '\\', '\xff', '\x80'};
  char text[100];

  (void)state;
  for (size_t length = 1; length < 80; length++) {
    text[0] = '"';
    memset(text + 1, 'a', length);
    text[length + 1] = '"';
    assert_int_equal(scan(text, length + 2, NULL, NULL), JSON_STRING);
    for (size_t at = 1; at <= length; at++) {
      for (size_t i = 0; i < COUNT_OF(bad); i++) {
        text[at] = bad[i];
        expect(scan(text, length + 2, NULL, NULL) == JSON_INVALID, "byte %02x at %zu of %zu",
               (unsigned char)bad[i], at, length);
      }
      text[at] = 'a';
    }
  }
}

static void scan_takes_every_plain_byte_in_a_string(void **state) {
  char text[128];
  size_t length = 0;

  (void)state;
  text[length++] = '"';
  for (int byte = 0x20; byte < 0x80; byte++) {
    if (byte != '"' && byte != '\\') {
      text[length++] = (char)byte;
    }
  }
  text[length++] = '"';
  for (size_t shift = 0; shift < 40; shift++) {
    char shifted[200] = {0};
    memset(shifted, ' ', shift);
    memcpy(shifted + shift, text, length);
    assert_int_equal(scan(shifted, shift + length, NULL, NULL), JSON_STRING);
  }
}

/* So many levels of arrays, or of objects, or of both in turn. */
static enum json_kind scan_nested(size_t levels, bool arrays, bool objects) {
  char *text = keep_memory(levels * 6 + 2);
  size_t length = 0;

  for (size_t i = 0; i < levels; i++) {
    if (arrays && (!objects || i % 2 == 0)) {
      text[length++] = '[';
    } else {
      for (const char *key = "{\"\":"; *key != '\0'; key++) {
        text[length++] = *key;
      }
    }
  }
  text[length++] = '1';
  for (size_t i = levels; i-- > 0;) {
    text[length++] = arrays && (!objects || i % 2 == 0) ? ']' : '}';
  }
  return json_scan(text, length, NULL, NULL);
}

static void scan_accepts_512_levels_and_no_more(void **state) {
  (void)state;
  assert_int_equal(scan_nested(512, true, false), JSON_ARRAY);
  assert_int_equal(scan_nested(512, false, true), JSON_OBJECT);
  assert_int_equal(scan_nested(512, true, true), JSON_ARRAY);
  assert_int_equal(scan_nested(513, true, false), JSON_INVALID);
  assert_int_equal(scan_nested(513, false, true), JSON_INVALID);
  assert_int_equal(scan_nested(1000000, true, false), JSON_INVALID);
}

static void scan_forgets_a_level_that_was_closed(void **state) {
  const char *reason;

  (void)state;
  assert_int_equal(json_scan(TEXT("[{\"a\":[1]},[2],{\"b\":{}}]"), NULL, NULL), JSON_ARRAY);
  assert_int_equal(json_scan(TEXT("[{\"a\":1},\"b\":2]"), &reason, NULL), JSON_INVALID);
  assert_int_equal(json_scan(TEXT("{\"a\":[1],2}"), &reason, NULL), JSON_INVALID);
}

static void a_compact_document_has_no_space_outside_strings(void **state) {
  static const char *const documents[][2] = {
      {"1", "1"},
      {" \t\r\n-1.5e3\n", "-1.5e3"},
      {"\"\"", "\"\""},
      {" \" a \" ", "\" a \""},
      {"[ \"\\\\\" , \"\\\" ,\" ]", "[\"\\\\\",\"\\\" ,\"]"},
      {"{ \"a \\\\\" : { } ,\n\"b\" : [ null , true ] }", "{\"a \\\\\":{},\"b\":[null,true]}"},
      {"\"\xe6\x97\xa5 \\n\"", "\"\xe6\x97\xa5 \\n\""},
  };
  char to[64];

  (void)state;
  for (size_t i = 0; i < COUNT_OF(documents); i++) {
    assert_true(json_scan(documents[i][0], strlen(documents[i][0]), NULL, NULL) != JSON_INVALID);
    json_compact(documents[i][0], to);
    assert_string_equal(to, documents[i][1]);
  }
}

static void utf8_is_checked_to_the_last_byte(void **state) {
  (void)state;
  assert_true(utf8_is_valid("", 0));
  assert_true(utf8_is_valid(TEXT("plain text of more than eight bytes")));
  assert_true(utf8_is_valid(TEXT("1234567\xc3\xa9"
                                 "9")));
  assert_true(utf8_is_valid(TEXT("\xf0\x9f\x98\x80")));
  assert_true(utf8_is_valid(TEXT("\0")));
  assert_false(utf8_is_valid(TEXT("1234567\xc3")));
  assert_false(utf8_is_valid(TEXT("12345678\x80")));
  assert_false(utf8_is_valid(TEXT("\xed\xa0\x80")));
  assert_false(utf8_is_valid(TEXT("\xc0\xaf")));
  assert_false(utf8_is_valid(TEXT("\xf4\x90\x80\x80")));
}

static void members_are_the_parts_of_the_text(void **state) {
  static const char *const expected[] = {
      "\"a\"=1",          "\"b\\\"}\"=\"x,}\\\\\"", "\"c\"={\"}\":[\"]\",{}]}",
      "\"d\"=[ 1 , {} ]", "\"\"=-1.50e+10",         "\"e\"=null",
  };
  const char *at = " { \"a\":1 , \"b\\\"}\"\n:\t\"x,}\\\\\",\"c\":{\"}\":[\"]\",{}]},"
                   "\"d\" : [ 1 , {} ],\"\":-1.50e+10\n,\"e\":null} ";
  struct json_member member;
  size_t count = 0;

  (void)state;
  assert_int_equal(json_scan(at, strlen(at), NULL, NULL), JSON_OBJECT);
  while (json_next_member(&at, &member)) {
    char part[64];
    snprintf(part, sizeof part, "%.*s=%.*s", (int)member.key_length, member.key,
             (int)member.value_length, member.value);
    assert_true(count < COUNT_OF(expected));
    assert_string_equal(part, expected[count++]);
  }
  assert_int_equal(count, COUNT_OF(expected));
}

static void an_empty_object_has_no_members(void **state) {
  const char *texts[] = {"{}", " { } "};
  struct json_member member;

  (void)state;
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    assert_false(json_next_member(&texts[i], &member));
  }
}

static void unquote_resolves_escapes(void **state) {
  char to[64];

  (void)state;
  assert_true(json_unquote(TEXT("\"\""), to));
  assert_string_equal(to, "");
  assert_true(json_unquote(TEXT("\"plain\""), to));
  assert_string_equal(to, "plain");
  assert_true(json_unquote(TEXT("\"\\\"\\\\\\/\\n\\u0041\\u00e9\\ud83d\\ude00\""), to));
  assert_string_equal(to, "\"\\/\nA\xc3\xa9\xf0\x9f\x98\x80");
}

static void integers_are_read_exactly_or_not_at_all(void **state) {
  static const char *const refused[] = {"1.0", "1e2", "9223372036854775808",
                                        "123456789012345678901234567890"};
  int64_t integer;

  (void)state;
  assert_true(json_integer(TEXT("9223372036854775807"), &integer));
  assert_true(integer == INT64_MAX);
  assert_true(json_integer(TEXT("-9007199254740993"), &integer));
  assert_true(integer == -INT64_C(9007199254740993));
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    assert_false(json_integer(refused[i], strlen(refused[i]), &integer));
  }
}

static int release(void **state) {
  (void)state;
  release_kept();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scan_accepts_what_is_json_and_tells_its_kind),
      cmocka_unit_test(scan_refuses_what_is_not_and_says_where_and_why),
      cmocka_unit_test(jsonb_refuses_what_it_cannot_hold),
      cmocka_unit_test(a_string_is_text_unless_it_has_zero_or_an_unpaired_surrogate),
      cmocka_unit_test(scan_needs_nobody_to_ask_for_the_reason),
      cmocka_unit_test(scan_sees_a_bad_byte_wherever_it_is_in_a_long_string),
      cmocka_unit_test(scan_takes_every_plain_byte_in_a_string),
      cmocka_unit_test_teardown(scan_accepts_512_levels_and_no_more, release),
      cmocka_unit_test(scan_forgets_a_level_that_was_closed),
      cmocka_unit_test(a_compact_document_has_no_space_outside_strings),
      cmocka_unit_test(utf8_is_checked_to_the_last_byte),
      cmocka_unit_test(members_are_the_parts_of_the_text),
      cmocka_unit_test(an_empty_object_has_no_members),
      cmocka_unit_test(unquote_resolves_escapes),
      cmocka_unit_test(integers_are_read_exactly_or_not_at_all),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
