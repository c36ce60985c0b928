package praktika;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.OffsetDateTime;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.List;

/** What the enterprise's system knows of an internship that has been completed. */
record Internship(String enterprise, OffsetDateTime completedAt, String learner) {

    /** A CloudEvent. */
    record Event(String specversion, String id, String source, String type, String subject, String partitionkey,
            String time, Completed data) {}

    record Completed(String enterprise, String programme, double hours, List<String> competencies, String outcome) {}

    /**
     * The event. Its id follows from the enterprise's own record, so sending it again changes nothing, and is a digest,
     * which names nobody; its time comes from the record and not from the clock, because it is part of what is said.
     */
    Event completed() {
        var data = new Completed(enterprise, "north-college:welding", 160.5, List.of("greencomp:3.1"), "passed");
        return new Event("1.0", record() + "-completed", "/organisations/" + enterprise,
                "praktika.internship.completed.v1", enterprise + ":" + record(), learner,
                completedAt.format(DateTimeFormatter.ISO_OFFSET_DATE_TIME), data);
    }

    private String record() {
        try {
            var digest = MessageDigest.getInstance("SHA-256").digest((enterprise + " " + learner).getBytes(UTF_8));
            return HexFormat.of().formatHex(digest, 0, 8);
        } catch (NoSuchAlgorithmException impossible) { // every Java has it
            throw new IllegalStateException(impossible);
        }
    }

    /** The events that the arguments TIME LEARNER... say. */
    static List<Event> completed(String enterprise, String[] args) {
        if (args.length < 2) {
            System.err.println("arguments: TIME LEARNER...  (TIME with offset: 2026-06-26T17:00:00+07:00)");
            System.exit(2);
        }
        var at = OffsetDateTime.parse(args[0]);
        return List.of(args).subList(1, args.length).stream()
                .map(learner -> new Internship(enterprise, at, learner).completed()).toList();
    }
}
