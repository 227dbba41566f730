"""ISO 4217: which currencies there are, and how many decimal digits each has.

Only money that is legal tender or a fund code with a minor unit: no metals, no test codes. Currencies withdrawn since
2015 are kept, so that history can be imported. Source: ISO 4217 list one and list three of January 2026.
"""

from __future__ import annotations

from typing import Final

_CODES_BY_EXPONENT: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY"
    " COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS"
    " INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR"
    " MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP"
    " STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_WITHDRAWN_BY_EXPONENT: Final = {0: "BYR", 2: "ANG BGN CUC HRK MRO SLL STD VEF ZWL"}

EXPONENTS: Final[dict[str, int]] = {
    code: exponent
    for codes in (_CODES_BY_EXPONENT, _WITHDRAWN_BY_EXPONENT)
    for exponent, listed in codes.items()
    for code in listed.split()
}
"""Decimal digits of each currency's minor unit: EUR 2, JPY 0, KWD 3."""

CODES: Final = tuple(sorted(EXPONENTS))
