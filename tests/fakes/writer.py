"""The model of the local endpoint: it writes made-up texts, and what it writes depends on the prompt alone."""

from __future__ import annotations

import json
import random
import re
from itertools import product


def forms(stems: str, endings: tuple[str, ...], others: str) -> list[str]:
    return [*map("".join, product(stems.split(), endings)), *others.split()]


ENGLISH = forms(
    """boiler filter valve sensor invoice account password order parcel ticket meter pipe pump heater window roof
    garden engine cable router printer screen button folder document contract deadline discount refund card bank loan
    price market farmer forest river lake bridge road tunnel station train driver passenger hotel room kitchen recipe
    bottle museum school teacher student lesson paper author novel actor player team coach season winter storm cloud
    mountain island harbour ship airport pilot doctor nurse patient heart cell protein plant flower animal bird king
    pact court election minister law village workshop machine model signal pattern layer theorem planet star comet
    telescope mineral metal crystal reactor magnet laser circuit chip server database lookup index record report table
    column chart""",
    ("", "s"),
    """the a of in on for with from how what when where why which does can is are was before after during between
    without under over more less most new old first last small large early late cold warm hidden local annual public
    slow quick repair replace open close measure check send change compare cancel reached needs holds remains became""",
)
GERMAN = forms(
    """Zahlung Rechnung Lieferung Bestellung Heizung Leitung Sicherung Meldung Messung Wartung Kündigung Mahnung
    Erstattung Buchung Verbindung Anmeldung Einstellung Abrechnung Versicherung Verwaltung Verordnung Sammlung Siedlung
    Zeitung Wohnung Kreuzung Haltung Sendung Entscheidung Erklärung Forschung Bildung Ausbildung Prüfung Regierung
    Verfassung Grenzziehung Landung Strömung Mischung Lösung Ladung Spannung Strahlung Dichtung Wirkung Förderung
    Mannschaft Landschaft Gesellschaft Wirtschaft Botschaft Eigenschaft Gewerkschaft Region Station Version Funktion
    Option Reaktion Aktion Portion Nation Produktion Tradition Position Expedition Revolution Institution Kommission
    Universität Qualität Kapazität Krankheit Freiheit Einheit Schwierigkeit Möglichkeit Flüssigkeit Geschwindigkeit
    Neuigkeit Reparatur Kultur Struktur Figur Zahl Uhr Bahn Fahrt Schrift Schlacht Arbeit Zeit Antwort Burg Frau Person
    Spur Schicht Pflicht Nachricht Übersicht Ansicht Gegend Tugend Wahl Tat""",
    ("", "en"),
    """der die das ein eine von in auf für mit aus wie was wann wo warum welche kann ist sind war wird wurde vor nach
    während zwischen ohne unter über mehr weniger neu alt erste letzte klein groß früh spät kalt warm lokal jährlich
    öffentlich langsam schnell reparieren ersetzen öffnen schließen messen prüfen senden ändern vergleichen erreicht
    braucht enthält bleibt begann seit gegen durch beim zur nicht auch nur schon bis etwa dabei deshalb jedoch sowie""",
)
KOREAN = forms(
    """보일러 압력 필터 밸브 센서 계정 비밀번호 주문 배송 택배 영수증 환불 요금 할인 카드 은행 대출 세금 가격 시장
    농부 수확 숲 호수 다리 도로 터널 기차 버스 기사 승객 호텔 부엌 요리 도서관 박물관 학교 대학 교수 학생 시험 수업
    신문 음악 영화 배우 축구 선수 경기 감독 날씨 바람 온도 여름 겨울 바다 항구 비행기 공항 병원 의사 환자 심장 혈액
    세포 식물 나무 동물 물고기 전쟁 조약 헌법 선거 정부 법률 도시 마을 공장 기계 엔진 배터리 전선""",
    ("", "의", "에서"),
    """어떻게 언제 왜 어디서 무엇을 누가 얼마나 있습니다 합니다 됩니다 시작했다 끝났다 필요하다 확인하는 바꾸는
    보내는 여는 닫는 고치는 비교하는 취소하는 새로운 오래된 작은 큰 차가운 따뜻한 빠른 느린 지역 해마다 처음 마지막
    이전 이후 동안 사이 없이 그리고 그러나 또한 가장 매우 함께 다시 먼저 나중에 이미 아직 주로""",
)
HINDI = forms(
    """दिन शहर गाँव किताब सड़क नगर बाज़ार खेत किसान पहाड़ तालाब देश मकान कारीगर यंत्र औज़ार अख़बार पत्र संदेश आदेश
    पार्सल टिकट मीटर पाइप पंप हीटर छत बाग इंजन तार राउटर प्रिंटर बटन फ़ोल्डर दस्तावेज़ अनुबंध बैंक कर्ज़ दाम जंगल पुल
    स्टेशन चालक यात्री होटल रसोईघर बोतल संग्रहालय विद्यालय शिक्षक छात्र पाठ लेखक उपन्यास कलाकार मैदान दल मौसम तूफ़ान
    बादल द्वीप बंदरगाह जहाज़ विमान अस्पताल चिकित्सक रोग दिल फूल जानवर पेड़ सम्राट युद्ध क़ानून चुनाव मंत्र न्यायालय
    प्रयोग सिद्धांत ग्रह खनिज चुंबक परिपथ सूचक अंक चित्र स्तंभ अनुभव परिणाम कारण उपाय नियम अधिकार विभाग कार्यालय
    परिवार त्योहार अनाज फल बीज नमक बरतन वस्त्र तेल खाद""",
    ("", "ों"),
    """का की के में पर से को ने और कैसे क्या कब कहाँ क्यों कौन कितना है हैं था थी थे होता होती करना करता करती गया गई
    पहले बाद दौरान बीच बिना नीचे ऊपर अधिक कम सबसे नया पुराना पहला आख़िरी छोटा बड़ा जल्दी देर ठंडा गर्म छिपा स्थानीय
    वार्षिक सार्वजनिक धीमा तेज़ बदलना खोलना बंद मापना जाँच भेजना तुलना रद्द पहुँचा चाहिए रहता बना लेकिन इसलिए तथा साथ
    फिर अभी तक भी ही जब तब यह वह""",
)
HINGLISH = forms(
    """din shehar gaon kitaab sadak nagar bazaar khet kisaan pahaad talaab desh makaan akhbaar patr sandesh aadesh taar
    kaagaz daam jangal pul chaalak botal vidyalay shikshak chhaatr paath lekhak kalaakar mausam toofan baadal dweep
    jahaaz vimaan aspataal rog dil phool jaanwar ped yuddh kanoon chunaav niyam prayog siddhant grah khanij chitra ank
    anubhav parinaam kaaran upaay adhikaar vibhaag daftar parivaar tyohaar anaaj phal beej bartan""",
    ("", "on"),
    """ka ki ke mein par se ko ne aur kaise kya kab kahan kyun kaun kitna hai hain tha thi hota hoti karna karta
    karti gaya gayi pehle baad dauraan beech bina neeche upar zyada kam sabse naya purana pehla aakhri chhota bada
    jaldi der thanda garam dheema tez badalna kholna band jaanch bhejna tulna radd chahiye rehta bana lekin isliye
    saath phir abhi tak bhi jab tab yeh woh nahi mera apna wala""",
)
WORDS = {"English": ENGLISH, "German": GERMAN, "Korean": KOREAN, "Hindi": HINDI}
WORDS["Hinglish"] = HINGLISH + ENGLISH[::3]
# Of each language one in another script.
OTHER_SCRIPT = {"English": "Korean", "German": "Korean", "Korean": "English", "Hindi": "English", "Hinglish": "Hindi"}


def language(prompt: str) -> str:
    """The language a prompt asks for, by its first line, as a key of `WORDS`; what has no words there is English."""
    first = prompt.strip().partition("\n")[0]
    found = re.search(r"\binto (.+)", first) or re.search(r"\bin (.+?),? (?:for|about)\b", first)
    name = found[1] if found else ""
    if "Hinglish" in name or "Latin" in name:
        return "Hinglish"
    return next((known for known in WORDS if known in name), "English")


def write(body: dict) -> str:
    """JSON in the form and language that the first user message asks for (the prompts of stages/synthesize)."""
    prompt = _prompt(body)
    return _write(prompt, language(prompt))


def write_in_another(body: dict) -> str:
    """The same in a language of another script."""
    prompt = _prompt(body)
    return _write(prompt, OTHER_SCRIPT[language(prompt)])


def _prompt(body: dict) -> str:
    return next((text_of(m.get("content")) for m in body["messages"] if m.get("role") == "user"), "")


def text_of(content: object) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content if isinstance(content, str) else ""


def _write(prompt: str, tongue: str) -> str:
    form = re.search(r"Reply with JSON alone.*?(\{.*\})", prompt)
    form = form[1] if form else ""
    if '"hard_negative"' in form:
        reply = {
            "query": _query(prompt, tongue, 0),
            "positive": _passage(prompt, tongue, 1),
            "hard_negative": _passage(prompt, tongue, 2),
        }
    elif '"texts"' in form and (found := re.search(r"^Texts: (\[.*\])\s*\Z", prompt, re.M | re.S)):
        reply = {"texts": [_translation(prompt, tongue, i, text) for i, text in enumerate(json.loads(found[1]))]}
    else:
        found = re.search(r"^Write (\d+) ", prompt, re.M) if '"queries"' in form else None
        reply = {"queries": [_query(prompt, tongue, i) for i in range(int(found[1]) if found else 2)]}
    return json.dumps(reply, ensure_ascii=False)


def _random(prompt: str, place: int) -> random.Random:
    return random.Random(f"{place} {prompt}")


def _query(prompt: str, tongue: str, place: int) -> str:
    rng = _random(prompt, place)
    words = rng.choices(WORDS[tongue], k=rng.randint(4, 9))
    if len(words) == 4:
        words[-1] = str(rng.randrange(1000, 100_000))  # four words alone would repeat among a million queries
    return " ".join(words)


def _passage(prompt: str, tongue: str, place: int) -> str:
    rng = _random(prompt, place)
    return _sentences(rng.choices(WORDS[tongue], k=rng.randint(40, 60)), tongue, rng)


def _translation(prompt: str, tongue: str, place: int, text: str) -> str:
    source = text.split()
    if not source:
        return ""
    rng = _random(prompt, place)
    # At least four words, for fewer would repeat among the prompts; figures stay, as in any translation.
    words = rng.choices(WORDS[tongue], k=max(len(source), 4))
    for i, token in enumerate(source):
        if figure := re.search(r"[0-9]+(?:[.,:][0-9]+)*", token):
            words[i] = figure[0]
    return " ".join(words) if len(words) < 12 else _sentences(words, tongue, rng)


def _sentences(words: list[str], tongue: str, rng: random.Random) -> str:
    stop = "।" if tongue == "Hindi" else "."
    found = []
    while words:
        size = rng.randint(8, 14)
        size = size if len(words) - size >= 4 else len(words)
        sentence = " ".join(words[:size])
        found.append(sentence[0].upper() + sentence[1:] + stop)
        words = words[size:]
    return " ".join(found)
