import JOSE
import Testing

@testable import TokenService

@Suite("Hashes of passwords that other systems made")
struct PasswordHashTests {
    /// The hashes of "correct horse", and the program that made each.
    static let made = [
        // argon2-cffi 25.1 over the Argon2 reference implementation.
        "$argon2id$v=19$m=64,t=1,p=2$RA9IYPndJztbXBclfLmMOw$JTmL89bsVXjpXw2g2xbWmqLgOB13pCSLEA+5TSAbLTU",
        // Python's hashlib.scrypt.
        "$scrypt$ln=4,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$Q7EcH175P/kcU7JE2HRU+qTRrq/BS6UbCRYPdBaC5y8",
        "$scrypt$ln=10,r=8,p=2$AAECAwQFBgcICQoLDA0ODw$RBjCXYboo4yjHH0P1K75vrL4xGciLt6io+o2v0yqSlo",
        // passlib 1.7.4, with a salt that has both letters in which base64 and base64url differ.
        "$scrypt$ln=8,r=8,p=1$+/+/IHNvbWUgc2FsdA$TnwYxN1fwNNQcFJzIbUCmmH5IngHIdjXMiHGdzFxvq8",
        // Python's hashlib.scrypt, spelt in crypt's letters.
        "$7$4/..../....saltsalt$EhS4rEQtoxzBG05EUtPpIuer7fUlKzbm5VdQQT0QBT6",
        // bcrypt 5.0 for Python, which is written in Rust.
        "$2a$04$DGGF0c.tXYGBHrKloke3vuomw/zzClEXhHW6g4NQ.hbJGhxwHWEJ6",
        "$2b$04$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu",
        // Perl's crypt over libxcrypt 4.4.33, for want of another program.
        "$2y$04$.OGB/.SE/ueHAeqKBO2NC.37PvdBwBBS8kyV.ffBAgLR5S5mwTpUi",
        "$2x$04$.OGB/.SE/ueHAeqKBO2NC.37PvdBwBBS8kyV.ffBAgLR5S5mwTpUi",
        "$y$j75$/6k.2IU/5UE08g.1Bsk1E2V2$7TgUvralleh1yrPsAS1xnHyNJZ1ms5TXoih7Fc0F.29",
        "$gy$j75$/6k.2IU/5UE08g.1Bsk1E2V2$eL8n4sD4I4B.o3kvyFQQ.mSzebyCMdEWLJdNq3AWNe9",
        // openssl passwd.
        "$1$saltsalt$NuzA7WTAelpl95xgBGWN60",
        "$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
        "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
        // passlib 1.7.4, in Python.
        "$6$rounds=1000$f.POwmD4YPQLxpwm$5jrkiLtO1mQ5QQcDC3WGIVzfhwBq1AELoACNY566rX8m8I5/2CKIw8.AZQffBig3n3J9VHGvquR"
            + "NVTIbdaqAG1",
        "$5$rounds=1000$Hzxqdm/5CAPYb0gI$Rv.od.8DhEwwzba5rm6sQX0FWTVb./NmsyKV6/gw4d/",
        "$sha1$1000$vMI13IYZ$DAcj6A1V6KDaQ21awErTNb1my0Xp",
        "$md5,rounds=1000$p8Y0WyaH$$PhcXXMGLVhvdXPQ3CmDNJ1", "$md5,rounds=1000$p8Y0WyaH$YOnQIh4XggzTXnu9yKSuc.",
        "$1$2l2LEJVg$5mkEVcxrw/FpHVQvCO9o./", "_dD..KCXH4MHUbAuKjfg", "4oMeTPya4ayN2",
        "$3$$cfc43211ba8dc470832267827cac1407",
    ]

    @Test("know their passwords, and none of them is one that is made today", arguments: made)
    func matches(text: String) throws {
        let hash = try PasswordHash(text)
        #expect(hash.text == text)
        #expect(try hash.matches("correct horse"))
        #expect(try !hash.matches("incorrect horse"))
        #expect(try !hash.matches(""))
        #expect(!hash.isMade(at: PasswordCost(memory: 64, iterations: 1)))
    }

    @Test("are of every kind that the table of crypt's schemes has")
    func table() {
        for scheme in CryptScheme.table where !scheme.prefix.isEmpty {
            #expect(Self.made.contains { $0.hasPrefix(scheme.prefix) }, "\(scheme.prefix)")
        }
    }

    @Test("are read as passlib's manual has one")
    func passlib() throws {
        let text = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
        #expect(try PasswordHash(text).matches("password"))
    }

    @Test("are refused when they would cost too much", arguments: costly)
    func tooCostly(text: String) {
        #expect(throws: PasswordHash.Refusal.tooCostly) { try PasswordHash(text) }
    }

    private static let hash43 = String(repeating: ".", count: 43)
    static let costly = [
        "$argon2id$v=19$m=1048577,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=1048576,t=5,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=1024,t=1,p=17$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$scrypt$ln=20,r=9,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$scrypt$ln=20,r=8,p=2$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$scrypt$ln=24,r=2,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$scrypt$ln=63,r=8,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$scrypt$ln=1,r=9999999999,p=9999999999$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$2b$17$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu",
        "$2a$31$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu",
        "$6$rounds=1000001$saltsalt$" + hash43 + hash43, "$5$rounds=999999999$saltsalt$" + hash43,
        "$sha1$1000001$vMI13IYZ$DAcj6A1V6KDaQ21awErTNb1my0Xp",
        "$md5,rounds=1000001$p8Y0WyaH$$PhcXXMGLVhvdXPQ3CmDNJ1", "_zzzzKCXH4MHUbAuKjfg",
        // 2^19 blocks of 32 * 128 bytes, 2 GiB.
        "$y$jGT$/6k.2IU/5UE08g.1Bsk1E2V2$" + hash43, "$gy$jGT$/6k.2IU/5UE08g.1Bsk1E2V2$" + hash43,
        "$7$HU..../....saltsalt$" + hash43, "$7$GU....0....saltsalt$" + hash43, "$7$4zzzzzzzzzzsaltsalt$" + hash43,
    ]

    @Test(
        "are taken up to the bounds",
        arguments: [
            "$argon2id$v=19$m=1048576,t=4,p=16$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
            "$scrypt$ln=20,r=8,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
            "$2b$16$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu",
            "$6$rounds=1000000$saltsalt$" + hash43 + hash43, "$y$jFT$/6k.2IU/5UE08g.1Bsk1E2V2$" + hash43,
            "$7$GU..../....saltsalt$" + hash43,
        ])
    func bounds(text: String) throws {
        #expect(try PasswordHash(text).text == text)
    }

    @Test("are refused when they aren't spelt as their programs do", arguments: malformed)
    func unknownForm(text: String) {
        #expect(throws: PasswordHash.Refusal.unknownForm) { try PasswordHash(text) }
    }

    static let malformed = [
        "", "*", "!", "x", "correct horse", "correcthorse1", "$", "$$", "$2$", "$9$a$b", "$argon2id$", "$scrypt$",
        // What libargon2 refuses, too: stray bits, padding, another alphabet, leading zeros, a short salt.
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHR$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ=$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhb-Q$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=064,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=64,t=01,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=+64,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbA$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaR",
        "$argon2id$v=19$m=64,t=1,p=9$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ$",
        "$argon2id$v=19$m=64,t=1,p=1,keyid=a$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaQ",
        "$scrypt$ln=4,r=8,p=1$$Q7EcH175P/kcU7JE2HRU+qTRrq/BS6UbCRYPdBaC5y8",
        "$scrypt$ln=0,r=8,p=1$AAEC$Q7EcH175P/kcU7JE2HRU+qTRrq/BS6UbCRYPdBaC5y8",
        "$scrypt$ln=16,r=1,p=1$AAEC$Q7EcH175P/kcU7JE2HRU+qTRrq/BS6UbCRYPdBaC5y8",
        "$scrypt$ln=4,r=0,p=1$AAEC$Q7EcH175P/kcU7JE2HRU+qTRrq/BS6UbCRYPdBaC5y8",
        "$scrypt$ln=4,p=1,r=8$AAEC$Q7EcH175P/kcU7JE2HRU+qTRrq/BS6UbCRYPdBaC5y8",
        "$scrypt$ln=4,r=8,p=1$AAEC$AAEC", "$scrypt$ln=4,r=8,p=1$AAEC",
        "$2b$03$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu",
        "$2b$4$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu",
        "$2b$32$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu",
        "$2b$10$" + String(repeating: "a", count: 53), "$2c$10$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu",
        "$6$rounds=999$saltsalt$" + hash43 + hash43, "$6$rounds=05000$saltsalt$" + hash43 + hash43,
        // crypt would take these rounds for rounds and the hash for the salt.
        "$6$rounds=999999999$" + hash43 + hash43, "$5$rounds=999999999$" + hash43, "$1$rounds=9$aaaaaaaaaaaaaaaaaaaaaa",
        "$6$seventeen-letters$" + hash43 + hash43, "$6$$" + hash43 + hash43, "$6$a:b$" + hash43 + hash43,
        "$y$j9T$/6k.2IU/5UE08g.1Bsk1E2V2", "$y$j9T$z$" + hash43, "$y$j9T$zz$" + hash43, "$y$i9T$/6k.$" + hash43,
        "$y$j9T/$/6k.$" + hash43, "$y$jzT$/6k.$" + hash43, "$y$$/6k.$" + hash43, "$y$j.T$/6k.$" + hash43,
        "$7$4...../....saltsalt$" + hash43, "$7$//..../....saltsalt$" + hash43, "$7$4/....", "$7$$",
        "$3$$CFC43211BA8DC470832267827CAC1407", "$3$cfc43211ba8dc470832267827cac1407", "$md5$p8Y0WyaH",
        "$md5$p8Y0WyaH$$$PhcXXMGLVhvdXPQ3CmDNJ1", "$md5,rounds=$p8Y0WyaH$PhcXXMGLVhvdXPQ3CmDNJ1",
        "$sha1$3$vMI13IYZ$DAcj6A1V6KDaQ21awErTNb1my0Xp", "_....KCXH4MHUbAuKjfg", "4oMeTPya4ayN3",
        "4oMeTPya4ayN24oMeTPya4ay",
        "$1$saltsalt$NuzA7WTAelpl95xgBGWN60\n", " $1$saltsalt$NuzA7WTAelpl95xgBGWN60", "$1$säl$NuzA7WTAelpl95xgBGWN60",
        "$scrypt$ln=4,r=8,p=1$" + String(repeating: "A", count: 480) + "$Q7EcH175P/kcU7JE2HRU+qTRrq/BS6UbCRYPdBaC5y8",
    ]

    @Test(
        "can be computed by crypt, down to the cheapest parameters that are taken",
        arguments: [
            "$y$j/.$$" + hash43, "$y$j0.$./$" + hash43, "$y$j1.$..A$" + hash43, "$y$j05$/6k.$" + hash43,
            "$gy$j0.$$" + hash43, "$7$0/..../....a$" + hash43, "$7$0/....zz...a$" + hash43, "$7$5z..../....a$" + hash43,
            "$md5$p8Y0WyaH$PhcXXMGLVhvdXPQ3CmDNJ1", "$md5,rounds=1$p8Y0WyaH$$PhcXXMGLVhvdXPQ3CmDNJ1",
            "_/...KCXH4MHUbAuKjfg", "$sha1$4$v$DAcj6A1V6KDaQ21awErTNb1my0Xp", "$6$rounds=1000$\"'#,$" + hash43 + hash43,
            "$1$~$NuzA7WTAelpl95xgBGWN60", "............A", "$2y$04$" + String(repeating: ".", count: 53),
        ])
    func readable(text: String) throws {
        let output = try #require(try CryptHash(text).output(Array("x".utf8)))
        // Up to the hash, crypt repeats what it was given.
        let end = text.utf8.lastIndex(of: UInt8(ascii: "$")) ?? text.utf8.index(after: text.startIndex)
        #expect(output.count == text.utf8.count)
        #expect(output.starts(with: text.utf8[...end]))
    }

    @Test("say no to a password that is longer than crypt takes, whatever it begins with")
    func longPasswords() throws {
        let hash = try PasswordHash("$1$saltsalt$NuzA7WTAelpl95xgBGWN60")
        #expect(try !hash.matches(String(repeating: "a", count: 1024)))
        // A bcrypt hash knows 72 bytes only, as in the system that it comes from.
        let bcrypt = try PasswordHash("$2b$04$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu")
        #expect(try !bcrypt.matches("correct horse" + String(repeating: "a", count: 1011)))
    }
}
