"""Language codes: a locale such as ``sv-SE`` -> ISO 639-3, and which languages a macrolanguage takes in."""

from __future__ import annotations

import re

from speechtransfer.errors import DataError

# All of ISO 639-1 with its ISO 639-3 code.
_TWO_LETTERS = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul
bi:bis bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu cv:chv cy:cym
da:dan de:deu dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas ff:ful fi:fin fj:fij
fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat
hu:hun hy:hye hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl it:ita iu:iku ja:jpn jv:jav
ka:kat kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir
la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri mk:mkd ml:mal mn:mon
mr:mar ms:msa mt:mlt my:mya na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld nn:nno no:nor nr:nbl nv:nav ny:nya
oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron ru:rus
rw:kin sa:san sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:sqi sr:srp
ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur
ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid
yo:yor za:zha zh:zho zu:zul
"""
# The macrolanguages among them, each with its members (SIL's table): Swahili, swa, is swh or swc.
_MEMBERS = """
aka: fat twi
ara: aao abh abv acm acq acw acx acy adf aeb aec afb ajp apc apd arb arq ars ary arz auz avl ayh ayl ayn ayp
    bbz pga shu ssh
aym: ayc ayr
aze: azb azj
cre: crj crk crl crm csw cwd
est: ekk vro
fas: pes prs
ful: ffm fub fuc fue fuf fuh fui fuq fuv
grn: gnw gug gui gun nhd
hbs: bos cnr hrv srp
iku: ike ikt
ipk: esi esk
kau: kby knc krt
kom: koi kpv
kon: kng kwy ldi
kur: ckb kmr sdh
lav: ltg lvs
mlg: bhr bjq bmm bzc msh plt skg tdx tkg txy xmv xmw
mon: khk mvf
msa: bjn btj bve bvu coa dup hji ind jak jax kvb kvr kxd lce lcf liw max meo mfa mfb min mly mqg msi mui orn
    ors pel pse tmw urk vkk vkt xmm zlm zmi zsm
nep: dty npi
nor: nno nob
oji: ciw ojb ojc ojg ojs ojw otw
ori: ory spv
orm: gax gaz hae orc
pus: pbt pbu pst
que: cqu qub qud quf qug quh quk qul qup qur qus quw qux quy quz qva qvc qve qvh qvi qvj qvl qvm qvn qvo qvp
    qvs qvw qvz qwa qwc qwh qws qxa qxc qxh qxl qxn qxo qxp qxr qxt qxu qxw
san: cls vsn
sqi: aae aat aln als
srd: sdc sdn src sro
swa: swc swh
uzb: uzn uzs
yid: ydd yih
zha: ccx ccy zch zeh zgb zgm zgn zhd zhn zlj zln zlq zqe zyb zyg zyj zyn zzj
zho: cdo cjy cmn cnp cpx csp czh czo gan hak hnm hsn luh lzh mnp nan sjc wuu yue
"""
_LOCALE = re.compile(r"([a-z]{2,3})([-_@.][a-z0-9_@.-]*)?")


def _read_members() -> dict[str, frozenset[str]]:
    lists = re.findall(r"(\w+):([^:]*)(?=\s\w+:|$)", _MEMBERS.strip())
    return {whole: frozenset(members.split()) for whole, members in lists}


CODES: dict[str, str] = dict(pair.split(":") for pair in _TWO_LETTERS.split())  # type: ignore[misc]
"""ISO 639-1 -> ISO 639-3."""
MEMBERS = _read_members()
"""Macrolanguage -> its individual languages."""


def language_of(locale: str) -> str | None:
    """ISO 639-3 code of a locale such as ``sw``, ``sv-SE``, ``nan-tw`` or ``deu``; None where it is no such thing.

    A region or script is left away. Three letters are taken for ISO 639-3 as they are.
    """
    named = _LOCALE.fullmatch(locale.strip().lower())
    if named is None:
        return None
    return CODES.get(named[1]) if len(named[1]) == 2 else named[1]


def settle(stated: str | None, asked: str | None, where: str) -> str | None:
    """The language of a row for which the corpus states one and the user another, either of them perhaps None.

    Of a macrolanguage and its member the member is meant: Common Voice's ``sw`` is ``swa``, a user says ``swh``.

    Raises:
        DataError: they contradict each other.
    """
    if stated is None or asked is None or stated == asked:
        return stated or asked
    for whole, member in ((stated, asked), (asked, stated)):
        if member in MEMBERS.get(whole, ()):
            return member
    raise DataError(f"{where}: the language is stated as {stated}, not {asked}. Leave --language out, or correct it.")
