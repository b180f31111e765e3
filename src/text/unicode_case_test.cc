#include "text/unicode_case.h"

#include <gtest/gtest.h>

#include "text/unicode_class.h"

namespace fastkv {
namespace {

TEST(UnicodeCase, LowersCodePointByCodePointButForTwo) {
  EXPECT_EQ(FullLowerCase(""), "");
  EXPECT_EQ(FullLowerCase("HELLO, World 42"), "hello, world 42");
  EXPECT_EQ(FullLowerCase("ÀÉÎ ПОЕЗД ŒUVRE"), "àéî поезд œuvre");
  EXPECT_EQ(FullLowerCase("\u0130zmir"), "i\u0307zmir");
  EXPECT_EQ(FullLowerCase("\u1E9E"), "ß");
  EXPECT_EQ(FullLowerCase("\u212Aelvin"), "kelvin");           // the Kelvin sign
  EXPECT_EQ(FullLowerCase("\u01C4 \u01C5"), "\u01C6 \u01C6");  // digraphs, capital and title case
  EXPECT_EQ(FullLowerCase("\u2160"), "\u2170");                // Roman numeral one
}

TEST(UnicodeCase, EndsWordsWithTheFinalSigma) {
  EXPECT_EQ(FullLowerCase("ΟΔΟΣ"), "οδος");
  EXPECT_EQ(FullLowerCase("ΟΔΟΣΑ"), "οδοσα");
  EXPECT_EQ(FullLowerCase("Σ"), "σ");
  EXPECT_EQ(FullLowerCase("ΑΣ ΣΑ"), "ας σα");
  EXPECT_EQ(FullLowerCase("ΑΣ.Α"), "ασ.α");  // a full stop inside a word is looked past
  EXPECT_EQ(FullLowerCase("ΑΣ,Α"), "ας,α");  // a comma is not
  EXPECT_EQ(FullLowerCase("Α\u0301Σ"), "α\u0301ς");
  EXPECT_EQ(FullLowerCase("1Σ"), "1σ");
  EXPECT_EQ(FullLowerCase("\u2160Σ"), "\u2170ς");  // cased, though no letter
  EXPECT_EQ(FullLowerCase("ΑΣΣ"), "ασς");
}

TEST(UnicodeCase, RaisesIntoSeveralCodePoints) {
  EXPECT_EQ(FullUpperCase("straße"), "STRASSE");
  EXPECT_EQ(FullUpperCase("ﬁnal ﬃ"), "FINAL FFI");
  EXPECT_EQ(FullUpperCase("\u1E9E \u0130"), "\u1E9E \u0130");
  EXPECT_EQ(FullUpperCase("\u0149"), "\u02BCN");
  EXPECT_EQ(FullUpperCase("\u1F80"), "\u1F08\u0399");
  EXPECT_EQ(FullUpperCase("\u1F88"), "\u1F08\u0399");
  EXPECT_EQ(FullUpperCase("ΐ"), "\u0399\u0308\u0301");
  EXPECT_EQ(FullUpperCase("ς σ \u01C5"), "Σ Σ \u01C4");
}

TEST(UnicodeCase, DecimalDigitsOfEveryScript) {
  EXPECT_EQ(DecimalDigitValue('0'), 0);
  EXPECT_EQ(DecimalDigitValue('9'), 9);
  EXPECT_EQ(DecimalDigitValue(0xFF17), 7);   // full width
  EXPECT_EQ(DecimalDigitValue(0x663), 3);    // Arabic-Indic
  EXPECT_EQ(DecimalDigitValue(0x1D7D8), 0);  // the second of the mathematical sets
  EXPECT_EQ(DecimalDigitValue(0x1D7FF), 9);
  EXPECT_EQ(DecimalDigitValue(0xB2), -1);    // superscript
  EXPECT_EQ(DecimalDigitValue(0x2460), -1);  // circled
  EXPECT_EQ(DecimalDigitValue('a'), -1);
}

}  // namespace
}  // namespace fastkv
