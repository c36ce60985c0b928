package praktika;

/** Publishes completed internships over HTTP. Arguments: TIME LEARNER... */
final class Publish {
    public static void main(String[] args) throws Exception {
        String organisation = System.getenv("PRAKTIKA_CLIENT_ID");
        var events = Internship.completed(organisation, args);
        var praktika = new Praktika(System.getenv("PRAKTIKA_URL"), organisation, System.getenv("PRAKTIKA_CLIENT_SECRET"));
        boolean refused = false;
        for (var answer : praktika.publish(events)) {
            var problem = answer.problem();
            if (problem == null) {
                System.out.printf("%s: accepted, %s%n", answer.id(), answer.event());
                continue;
            }
            refused = true;
            String why = problem.path("detail").asText(problem.path("title").asText());
            System.out.printf("%s: refused, %d %s%n", answer.id(), answer.status(), why);
            for (var error : problem.path("errors")) {
                System.out.printf("  %s: %s%n", error.path("field").asText(), error.path("detail").asText());
            }
        }
        System.exit(refused ? 1 : 0);
    }
}
